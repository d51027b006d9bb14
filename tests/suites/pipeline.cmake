# Pipelines against the real daemon, with plain Python steps.
add_test(NAME scenario.pipeline COMMAND ${QUERN_PYTHON} ${CMAKE_SOURCE_DIR}/tests/scenario/pipeline.py)
set_tests_properties(scenario.pipeline PROPERTIES LABELS full TIMEOUT 600
                     ENVIRONMENT QUERN_BIN=$<TARGET_FILE:quern>)
