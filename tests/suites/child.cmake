# Child servers and graphs.
set_tests_properties(unit.serving.child PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 180
                     ENVIRONMENT "QUERN_CHILDREN=${CMAKE_SOURCE_DIR}/tests/children")
