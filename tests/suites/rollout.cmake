# Rollout: revisions, canaries, bandits, dry runs over the wire; skipped without ONNX Runtime's library.
add_test(NAME client.rollout COMMAND ${QUERN_PY3} ${CMAKE_SOURCE_DIR}/tests/client/rollout.py)
set_tests_properties(client.rollout PROPERTIES LABELS full TIMEOUT 300
                     ENVIRONMENT QUERN_BIN=$<TARGET_FILE:quern>)
