# Without the openssl command there is no client for the TLS test: it says so and is skipped.
set_tests_properties(unit.http.tls PROPERTIES SKIP_RETURN_CODE 77)
