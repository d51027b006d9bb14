# SPDX-License-Identifier: Apache-2.0
# Traces on the wire, and through both lines of the genuine client.
add_test(NAME wire.traces COMMAND ${QUERN_PYTHON} ${CMAKE_SOURCE_DIR}/tests/client/trace_wire.py)
set_tests_properties(wire.traces PROPERTIES LABELS quick TIMEOUT 120
                     ENVIRONMENT QUERN_BIN=$<TARGET_FILE:quern>)
foreach(line 3 2)
  add_test(NAME client.traces.mlflow${line} COMMAND ${QUERN_PY${line}} ${CMAKE_SOURCE_DIR}/tests/client/traces.py)
  set_tests_properties(client.traces.mlflow${line} PROPERTIES LABELS full TIMEOUT 300
                       ENVIRONMENT QUERN_BIN=$<TARGET_FILE:quern>)
endforeach()
add_test(NAME wire.trace_metrics COMMAND ${QUERN_PYTHON} ${CMAKE_SOURCE_DIR}/tests/client/trace_metrics.py)
set_tests_properties(wire.trace_metrics PROPERTIES LABELS quick TIMEOUT 120
                     ENVIRONMENT QUERN_BIN=$<TARGET_FILE:quern>)
