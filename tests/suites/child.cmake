# Child servers and graphs.
set_tests_properties(unit.serving.child PROPERTIES LABELS full SKIP_RETURN_CODE 77 TIMEOUT 300
                     ENVIRONMENT "QUERN_CHILDREN=${CMAKE_SOURCE_DIR}/tests/children")
add_test(NAME client.child COMMAND ${QUERN_PY3} ${CMAKE_SOURCE_DIR}/tests/client/child.py)
set_tests_properties(client.child PROPERTIES LABELS full TIMEOUT 400
                     ENVIRONMENT QUERN_BIN=$<TARGET_FILE:quern>)
add_test(NAME client.graph COMMAND ${QUERN_PY3} ${CMAKE_SOURCE_DIR}/tests/client/graph.py)
set_tests_properties(client.graph PROPERTIES LABELS full TIMEOUT 300
                     ENVIRONMENT QUERN_BIN=$<TARGET_FILE:quern>)
