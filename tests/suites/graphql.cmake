# SPDX-License-Identifier: Apache-2.0
# The questions of MLflow's web page.
add_test(NAME wire.graphql COMMAND ${QUERN_PYTHON} ${CMAKE_SOURCE_DIR}/tests/client/graphql_wire.py)
set_tests_properties(wire.graphql PROPERTIES LABELS quick TIMEOUT 120
                     ENVIRONMENT QUERN_BIN=$<TARGET_FILE:quern>)
