# SPDX-License-Identifier: Apache-2.0
# Moving in from MLflow and out to it.
add_test(NAME client.transfer COMMAND ${QUERN_PYTHON} ${CMAKE_SOURCE_DIR}/tests/client/transfer.py)
set_tests_properties(client.transfer PROPERTIES LABELS full TIMEOUT 300
                     ENVIRONMENT QUERN_BIN=$<TARGET_FILE:quern>)
