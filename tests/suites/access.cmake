# SPDX-License-Identifier: Apache-2.0
# Users and permissions: every route against every permission, and MLflow's own client for them.
add_test(NAME wire.permissions COMMAND ${QUERN_PYTHON} ${CMAKE_SOURCE_DIR}/tests/client/permissions.py)
set_tests_properties(wire.permissions PROPERTIES LABELS full TIMEOUT 600
                     ENVIRONMENT QUERN_BIN=$<TARGET_FILE:quern>)
# In the environment of the genuine mlflow that QUERN_GENUINE names; skipped without one.
add_test(NAME client.auth COMMAND ${QUERN_PYTHON} ${CMAKE_SOURCE_DIR}/tests/client/auth.py)
set_tests_properties(client.auth PROPERTIES LABELS full TIMEOUT 120
                     ENVIRONMENT QUERN_BIN=$<TARGET_FILE:quern>)
