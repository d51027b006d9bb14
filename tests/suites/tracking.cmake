# SPDX-License-Identifier: Apache-2.0
# The genuine MLflow clients, two lines of them.
foreach(line 2 3)
  add_test(NAME client.tracking_mlflow${line}
           COMMAND ${QUERN_PY${line}} ${CMAKE_SOURCE_DIR}/tests/client/tracking.py)
  set_tests_properties(client.tracking_mlflow${line} PROPERTIES LABELS full TIMEOUT 300
                       ENVIRONMENT "QUERN_BIN=$<TARGET_FILE:quern>")
endforeach()
add_test(NAME wire.tracking
         COMMAND ${QUERN_PYTHON} ${CMAKE_SOURCE_DIR}/tests/client/tracking_wire.py)
set_tests_properties(wire.tracking PROPERTIES LABELS quick TIMEOUT 120
                     ENVIRONMENT "QUERN_BIN=$<TARGET_FILE:quern>")
# MLflow's table of messages and limits over raw HTTP.
add_test(NAME client.conformance COMMAND ${QUERN_PYTHON} ${CMAKE_SOURCE_DIR}/tests/client/conformance.py)
set_tests_properties(client.conformance PROPERTIES LABELS full TIMEOUT 300
                     ENVIRONMENT QUERN_BIN=$<TARGET_FILE:quern>)
# Metric points: pages, samples, and a database of an older schema that is packed.
add_test(NAME wire.metrics COMMAND ${QUERN_PYTHON} ${CMAKE_SOURCE_DIR}/tests/client/metrics_wire.py)
set_tests_properties(wire.metrics PROPERTIES LABELS full TIMEOUT 180
                     ENVIRONMENT "QUERN_BIN=$<TARGET_FILE:quern>")
add_test(NAME fault.metrics COMMAND ${QUERN_PYTHON} ${CMAKE_SOURCE_DIR}/tests/fault/metric_crash.py)
set_tests_properties(fault.metrics PROPERTIES LABELS full TIMEOUT 240
                     ENVIRONMENT "QUERN_BIN=$<TARGET_FILE:quern>")
# Columns of an experiment and searches for some fields, after deletes, restores and a kill.
add_test(NAME wire.columns COMMAND ${QUERN_PYTHON} ${CMAKE_SOURCE_DIR}/tests/client/columns.py)
set_tests_properties(wire.columns PROPERTIES LABELS full TIMEOUT 240
                     ENVIRONMENT "QUERN_BIN=$<TARGET_FILE:quern>")
# Random filters and orders against a plain model.
add_test(NAME wire.search_property COMMAND ${QUERN_PYTHON} ${CMAKE_SOURCE_DIR}/tests/client/search_property.py)
set_tests_properties(wire.search_property PROPERTIES LABELS full TIMEOUT 180
                     ENVIRONMENT "QUERN_BIN=$<TARGET_FILE:quern>")
# Thousands of runs are deleted and restored while others write, and a kill in the middle.
add_test(NAME wire.big_experiment COMMAND ${QUERN_PYTHON} ${CMAKE_SOURCE_DIR}/tests/client/big_experiment.py)
set_tests_properties(wire.big_experiment PROPERTIES LABELS full TIMEOUT 300
                     ENVIRONMENT "QUERN_BIN=$<TARGET_FILE:quern>")
