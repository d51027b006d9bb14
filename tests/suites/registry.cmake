# The model registry and its lineage through both lines of the genuine client.
foreach(line 3 2)
  add_test(NAME client.registry.mlflow${line} COMMAND ${QUERN_PY${line}} ${CMAKE_SOURCE_DIR}/tests/client/registry.py)
  set_tests_properties(client.registry.mlflow${line} PROPERTIES LABELS full TIMEOUT 300
                       ENVIRONMENT QUERN_BIN=$<TARGET_FILE:quern>)
endforeach()
add_test(NAME wire.registry_pages COMMAND ${QUERN_PYTHON} ${CMAKE_SOURCE_DIR}/tests/client/registry_pages.py)
set_tests_properties(wire.registry_pages PROPERTIES LABELS full TIMEOUT 120
                     ENVIRONMENT QUERN_BIN=$<TARGET_FILE:quern>)
