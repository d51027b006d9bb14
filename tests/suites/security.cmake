# SPDX-License-Identifier: Apache-2.0
# What attackers, neighbours and leaks could do, over the wire.
add_test(NAME scenario.projects COMMAND ${QUERN_PYTHON} ${CMAKE_SOURCE_DIR}/tests/scenario/projects.py)
set_tests_properties(scenario.projects PROPERTIES LABELS full TIMEOUT 300
                     ENVIRONMENT QUERN_BIN=$<TARGET_FILE:quern>)
add_test(NAME scenario.security COMMAND ${QUERN_PYTHON} ${CMAKE_SOURCE_DIR}/tests/scenario/security.py)
set_tests_properties(scenario.security PROPERTIES LABELS full TIMEOUT 240
                     ENVIRONMENT QUERN_BIN=$<TARGET_FILE:quern>)
