# The trash and the quotas on the wire, and through both lines of the genuine client.
add_test(NAME wire.trash COMMAND ${QUERN_PYTHON} ${CMAKE_SOURCE_DIR}/tests/client/trash.py)
set_tests_properties(wire.trash PROPERTIES LABELS full TIMEOUT 600 ENVIRONMENT QUERN_BIN=$<TARGET_FILE:quern>)
foreach(line 3 2)
  add_test(NAME client.trash.mlflow${line} COMMAND ${QUERN_PY${line}} ${CMAKE_SOURCE_DIR}/tests/client/trash.py)
  set_tests_properties(client.trash.mlflow${line} PROPERTIES LABELS full TIMEOUT 300
                       ENVIRONMENT QUERN_BIN=$<TARGET_FILE:quern>)
endforeach()
