# The memory of predictions, and DuckDB. Tests that need DuckDB's library look where
# deploy/duckdb.sh puts it, and are skipped without it; QUERN_DUCK_LIB names another.
set(QUERN_DUCK_PLACES "${CMAKE_SOURCE_DIR}/build/lib/libduckdb.so*")
set_tests_properties(unit.duck.duck unit.prediction.prediction PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 120
                     ENVIRONMENT "QUERN_DUCK_PLACES=${QUERN_DUCK_PLACES}")
