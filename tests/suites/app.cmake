# The daemon as a whole: its command line, its routes, its documents, the example.
function(quern_daemon_test name label seconds)
  add_test(NAME ${name} COMMAND ${ARGN})
  set_tests_properties(${name} PROPERTIES LABELS ${label} TIMEOUT ${seconds}
                       ENVIRONMENT QUERN_BIN=$<TARGET_FILE:quern>)
endfunction()
quern_daemon_test(client.cli full 300 ${QUERN_PYTHON} ${CMAKE_SOURCE_DIR}/tests/client/cli.py)
quern_daemon_test(client.operator full 300 ${QUERN_PYTHON} ${CMAKE_SOURCE_DIR}/tests/client/operating.py)
quern_daemon_test(scenario.every_route full 600 ${QUERN_PYTHON}
                  ${CMAKE_SOURCE_DIR}/tests/scenario/every_route.py)
quern_daemon_test(scenario.service full 300 ${QUERN_PYTHON} ${CMAKE_SOURCE_DIR}/tests/scenario/service.py)
quern_daemon_test(scenario.install full 60 ${QUERN_PYTHON} ${CMAKE_SOURCE_DIR}/tests/scenario/install.py
                  ${CMAKE_COMMAND} ${CMAKE_BINARY_DIR})
quern_daemon_test(scenario.generated quick 60 ${QUERN_PYTHON}
                  ${CMAKE_SOURCE_DIR}/tests/scenario/generated.py)
quern_daemon_test(scenario.housekeeping full 120 ${QUERN_PYTHON}
                  ${CMAKE_SOURCE_DIR}/tests/scenario/housekeeping.py)
quern_daemon_test(scenario.example full 900 ${QUERN_PY3}
                  ${CMAKE_SOURCE_DIR}/tests/scenario/example.py)
# Password hashing is slow by intent, and slower still under a sanitizer on a busy machine.
set_tests_properties(unit.access.admit PROPERTIES TIMEOUT 300)
