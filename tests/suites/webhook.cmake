# Webhooks: the genuine client, bare HTTP, and kill -9 amid deliveries.
add_test(NAME client.webhooks COMMAND ${QUERN_PY3} ${CMAKE_SOURCE_DIR}/tests/client/webhooks.py)
add_test(NAME client.webhook.wire COMMAND ${QUERN_PYTHON} ${CMAKE_SOURCE_DIR}/tests/client/webhook_wire.py)
add_test(NAME fault.webhooks COMMAND ${QUERN_PYTHON} ${CMAKE_SOURCE_DIR}/tests/fault/webhook_crash.py)
set_tests_properties(client.webhooks client.webhook.wire fault.webhooks PROPERTIES LABELS full TIMEOUT 300
                     ENVIRONMENT QUERN_BIN=$<TARGET_FILE:quern>)
