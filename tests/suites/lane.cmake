# SPDX-License-Identifier: Apache-2.0
# What every route has from the lanes: conditions on versions.
add_test(NAME scenario.conditions COMMAND ${QUERN_PYTHON} ${CMAKE_SOURCE_DIR}/tests/scenario/conditions.py)
set_tests_properties(scenario.conditions PROPERTIES LABELS quick TIMEOUT 120
                     ENVIRONMENT QUERN_BIN=$<TARGET_FILE:quern>)
add_test(NAME scenario.run_events COMMAND ${QUERN_PYTHON} ${CMAKE_SOURCE_DIR}/tests/scenario/run_events.py)
set_tests_properties(scenario.run_events PROPERTIES LABELS full TIMEOUT 120
                     ENVIRONMENT QUERN_BIN=$<TARGET_FILE:quern>)
