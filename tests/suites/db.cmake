# Faults that must not cost an acknowledged write.
set(fault ${CMAKE_SOURCE_DIR}/tests/fault)
add_test(NAME fault.crash_short COMMAND ${QUERN_PYTHON} ${fault}/crash.py 5)
set_tests_properties(fault.crash_short PROPERTIES LABELS full TIMEOUT 180
  ENVIRONMENT QUERN_BIN=$<TARGET_FILE:quern>)
add_test(NAME fault.crash COMMAND ${QUERN_PYTHON} ${fault}/crash.py 100)
set_tests_properties(fault.crash PROPERTIES LABELS all TIMEOUT 1200
  ENVIRONMENT QUERN_BIN=$<TARGET_FILE:quern>)
# All kinds of traffic at once, and webhooks that are told of them.
add_test(NAME fault.mixed_short COMMAND ${QUERN_PYTHON} ${fault}/mixed_crash.py 6)
set_tests_properties(fault.mixed_short PROPERTIES LABELS full TIMEOUT 180
  ENVIRONMENT QUERN_BIN=$<TARGET_FILE:quern>)
add_test(NAME fault.mixed COMMAND ${QUERN_PYTHON} ${fault}/mixed_crash.py 60)
set_tests_properties(fault.mixed PROPERTIES LABELS all TIMEOUT 900
  ENVIRONMENT QUERN_BIN=$<TARGET_FILE:quern>)
add_test(NAME fault.disk_full COMMAND ${QUERN_PYTHON} ${fault}/disk_full.py)
set_tests_properties(fault.disk_full PROPERTIES LABELS full TIMEOUT 300 SKIP_RETURN_CODE 77
  ENVIRONMENT QUERN_BIN=$<TARGET_FILE:quern>)
add_test(NAME fault.event_burst COMMAND ${QUERN_PYTHON} ${fault}/event_burst.py)
set_tests_properties(fault.event_burst PROPERTIES LABELS full TIMEOUT 120
  ENVIRONMENT QUERN_BIN=$<TARGET_FILE:quern>)
