# The memory of predictions, and DuckDB. Tests that need DuckDB's library look where
# deploy/duckdb.sh puts it, and are skipped without it; QUERN_DUCK_LIB names another.
set(QUERN_DUCK_PLACES "${CMAKE_SOURCE_DIR}/build/lib/libduckdb.so*")
set_tests_properties(unit.duck.duck unit.prediction.prediction PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 120
                     ENVIRONMENT "QUERN_DUCK_PLACES=${QUERN_DUCK_PLACES}")
add_test(NAME client.predictions COMMAND ${QUERN_PY3} ${CMAKE_SOURCE_DIR}/tests/client/predictions.py)
set_tests_properties(client.predictions PROPERTIES LABELS full TIMEOUT 600
                     ENVIRONMENT "QUERN_BIN=$<TARGET_FILE:quern>;QUERN_VENVS=${QUERN_VENVS}")
