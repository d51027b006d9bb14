# Models and endpoints. Tests that need ONNX Runtime's library look where deploy/onnxruntime.sh and
# the Python environment put it, and are skipped without it; QUERN_ONNX_LIB names another.
set(QUERN_ONNX_PLACES "${CMAKE_SOURCE_DIR}/build/lib/libonnxruntime.so*:${QUERN_VENVS}/mlflow3/lib/python3*/site-packages/onnxruntime/capi/libonnxruntime.so.*")
set_tests_properties(unit.onnx.run PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 120
                     ENVIRONMENT "QUERN_ONNX_PLACES=${QUERN_ONNX_PLACES}")
add_test(NAME client.serving COMMAND ${QUERN_PY3} ${CMAKE_SOURCE_DIR}/tests/client/serving.py)
set_tests_properties(client.serving PROPERTIES LABELS full TIMEOUT 600
                     ENVIRONMENT QUERN_BIN=$<TARGET_FILE:quern>)
add_test(NAME client.serving_faults COMMAND ${QUERN_PY3} ${CMAKE_SOURCE_DIR}/tests/client/serving_faults.py)
set_tests_properties(client.serving_faults PROPERTIES LABELS full TIMEOUT 300
                     ENVIRONMENT QUERN_BIN=$<TARGET_FILE:quern>)
add_test(NAME client.arms COMMAND ${QUERN_PY3} ${CMAKE_SOURCE_DIR}/tests/client/arms.py)
set_tests_properties(client.arms PROPERTIES LABELS full TIMEOUT 300
                     ENVIRONMENT QUERN_BIN=$<TARGET_FILE:quern>)
add_test(NAME client.policy COMMAND ${QUERN_PY3} ${CMAKE_SOURCE_DIR}/tests/client/policy.py)
set_tests_properties(client.policy PROPERTIES LABELS full TIMEOUT 300
                     ENVIRONMENT QUERN_BIN=$<TARGET_FILE:quern>)
add_test(NAME client.triton COMMAND ${QUERN_PYTHON} ${CMAKE_SOURCE_DIR}/tests/client/triton.py)
set_tests_properties(client.triton PROPERTIES LABELS full TIMEOUT 300
                     ENVIRONMENT "QUERN_BIN=$<TARGET_FILE:quern>;QUERN_VENVS=${QUERN_VENVS}")
add_test(NAME client.golden COMMAND ${QUERN_PY3} ${CMAKE_SOURCE_DIR}/tests/client/golden.py)
set_tests_properties(client.golden PROPERTIES LABELS full TIMEOUT 300
                     ENVIRONMENT QUERN_BIN=$<TARGET_FILE:quern>)
add_test(NAME client.resilience COMMAND ${QUERN_PY3} ${CMAKE_SOURCE_DIR}/tests/client/resilience.py)
set_tests_properties(client.resilience PROPERTIES LABELS full TIMEOUT 300
                     ENVIRONMENT QUERN_BIN=$<TARGET_FILE:quern>)
foreach(size short full)
  if(size STREQUAL short)
    set(label full)
    set(count 40)
  else()
    set(label all)
    set(count 500)
  endif()
  set(name fault.onnx_mutations)
  if(size STREQUAL short)
    set(name fault.onnx_mutations_short)
  endif()
  add_test(NAME ${name} COMMAND ${QUERN_PYTHON} ${CMAKE_SOURCE_DIR}/tests/fault/onnx_mutations.py)
  set_tests_properties(${name} PROPERTIES LABELS ${label} TIMEOUT 1800 SKIP_RETURN_CODE 77
                       ENVIRONMENT "QUERN_BIN=$<TARGET_FILE:quern>;QUERN_ONNX_PLACES=${QUERN_ONNX_PLACES};COUNT=${count}")
endforeach()
