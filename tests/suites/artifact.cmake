# The artifact proxy: on the wire, and through both lines of the genuine client.
add_test(NAME wire.artifacts COMMAND ${QUERN_PYTHON} ${CMAKE_SOURCE_DIR}/tests/client/artifact_wire.py)
set_tests_properties(wire.artifacts PROPERTIES LABELS quick TIMEOUT 120 ENVIRONMENT QUERN_BIN=$<TARGET_FILE:quern>)
add_test(NAME wire.artifacts.large COMMAND ${QUERN_PYTHON} ${CMAKE_SOURCE_DIR}/tests/client/artifact_wire.py --large)
set_tests_properties(wire.artifacts.large PROPERTIES LABELS all TIMEOUT 600 ENVIRONMENT QUERN_BIN=$<TARGET_FILE:quern>)
foreach(line 3 2)
  add_test(NAME client.artifacts.mlflow${line} COMMAND ${QUERN_PY${line}} ${CMAKE_SOURCE_DIR}/tests/client/artifacts.py)
  set_tests_properties(client.artifacts.mlflow${line} PROPERTIES LABELS full TIMEOUT 300
                       ENVIRONMENT QUERN_BIN=$<TARGET_FILE:quern>)
endforeach()
# A folder as artifact root, which clients share.
add_test(NAME wire.artifact_root COMMAND ${QUERN_PYTHON} ${CMAKE_SOURCE_DIR}/tests/client/artifact_root.py)
set_tests_properties(wire.artifact_root PROPERTIES LABELS quick TIMEOUT 120 ENVIRONMENT QUERN_BIN=$<TARGET_FILE:quern>)
# Uploads in parts and signed URLs, with kills among them.
add_test(NAME wire.multipart COMMAND ${QUERN_PYTHON} ${CMAKE_SOURCE_DIR}/tests/client/multipart_wire.py)
set_tests_properties(wire.multipart PROPERTIES LABELS full TIMEOUT 240 ENVIRONMENT QUERN_BIN=$<TARGET_FILE:quern>)
