# The client commands, the completions and the man page.
add_test(NAME client.shell COMMAND ${QUERN_PYTHON} ${CMAKE_SOURCE_DIR}/tests/client/shell.py)
set_tests_properties(client.shell PROPERTIES LABELS full TIMEOUT 300
                     ENVIRONMENT QUERN_BIN=$<TARGET_FILE:quern>)
add_test(NAME client.notify COMMAND ${QUERN_PYTHON} ${CMAKE_SOURCE_DIR}/tests/client/notify.py)
set_tests_properties(client.notify PROPERTIES LABELS full TIMEOUT 120
                     ENVIRONMENT QUERN_BIN=$<TARGET_FILE:quern>)
