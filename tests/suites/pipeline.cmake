# Pipelines against the real daemon, with plain Python steps.
add_test(NAME scenario.pipeline COMMAND ${QUERN_PYTHON} ${CMAKE_SOURCE_DIR}/tests/scenario/pipeline.py)
set_tests_properties(scenario.pipeline PROPERTIES LABELS full TIMEOUT 600
                     ENVIRONMENT QUERN_BIN=$<TARGET_FILE:quern>)
# A daemon that dies at each instant of a step's life; failpoints exist in sanitizer builds.
if(QUERN_SANITIZE)
  add_test(NAME scenario.pipeline_crash COMMAND ${QUERN_PYTHON} ${CMAKE_SOURCE_DIR}/tests/scenario/pipeline_crash.py)
  set_tests_properties(scenario.pipeline_crash PROPERTIES LABELS full TIMEOUT 300
                       ENVIRONMENT QUERN_BIN=$<TARGET_FILE:quern>)
endif()
add_test(NAME scenario.pipeline_disk COMMAND ${QUERN_PYTHON} ${CMAKE_SOURCE_DIR}/tests/scenario/pipeline_disk.py)
set_tests_properties(scenario.pipeline_disk PROPERTIES LABELS full TIMEOUT 120 SKIP_RETURN_CODE 77
                     ENVIRONMENT QUERN_BIN=$<TARGET_FILE:quern>)
