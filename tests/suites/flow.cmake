# SPDX-License-Identifier: Apache-2.0
# The whole day of a data scientist through both lines of the genuine client, with the training libraries.
foreach(line 3 2)
  add_test(NAME client.flow.mlflow${line}
           COMMAND ${CMAKE_SOURCE_DIR}/tests/venv.sh flow${line} ${CMAKE_SOURCE_DIR}/tests/client/flow.py)
  set_tests_properties(client.flow.mlflow${line} PROPERTIES LABELS full TIMEOUT 600
                       ENVIRONMENT "QUERN_BIN=$<TARGET_FILE:quern>")
endforeach()
# The same calls to a genuine server; skipped where QUERN_GENUINE names none.
add_test(NAME client.differential COMMAND ${QUERN_PYTHON} ${CMAKE_SOURCE_DIR}/tests/client/differential.py)
set_tests_properties(client.differential PROPERTIES LABELS full TIMEOUT 300
                     ENVIRONMENT "QUERN_BIN=$<TARGET_FILE:quern>")
