# Batch prediction jobs and bundles.
add_test(NAME client.batch COMMAND ${QUERN_PY3} ${CMAKE_SOURCE_DIR}/tests/client/batch.py)
set_tests_properties(client.batch PROPERTIES LABELS full TIMEOUT 600
                     ENVIRONMENT "QUERN_BIN=$<TARGET_FILE:quern>;QUERN_VENVS=${QUERN_VENVS}")
add_test(NAME client.bundle COMMAND ${QUERN_PY3} ${CMAKE_SOURCE_DIR}/tests/client/bundle.py)
set_tests_properties(client.bundle PROPERTIES LABELS full TIMEOUT 300
                     ENVIRONMENT QUERN_BIN=$<TARGET_FILE:quern>)
