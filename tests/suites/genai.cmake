# SPDX-License-Identifier: Apache-2.0
# What clients and MLflow's web page ask around language models.
add_test(NAME wire.side_doors COMMAND ${QUERN_PYTHON} ${CMAKE_SOURCE_DIR}/tests/client/side_doors.py)
set_tests_properties(wire.side_doors PROPERTIES LABELS quick TIMEOUT 120
                     ENVIRONMENT QUERN_BIN=$<TARGET_FILE:quern>)
add_test(NAME wire.evaluation_datasets COMMAND ${QUERN_PYTHON} ${CMAKE_SOURCE_DIR}/tests/client/evaluation_wire.py)
set_tests_properties(wire.evaluation_datasets PROPERTIES LABELS quick TIMEOUT 120
                     ENVIRONMENT QUERN_BIN=$<TARGET_FILE:quern>)
add_test(NAME client.evaluation COMMAND ${CMAKE_SOURCE_DIR}/tests/venv.sh flow3 ${CMAKE_SOURCE_DIR}/tests/client/evaluation.py)
set_tests_properties(client.evaluation PROPERTIES LABELS full TIMEOUT 200
                     ENVIRONMENT "QUERN_BIN=$<TARGET_FILE:quern>")
# Scorers and issues on the wire, and through the genuine client.
add_test(NAME wire.scorers_issues COMMAND ${QUERN_PYTHON} ${CMAKE_SOURCE_DIR}/tests/client/scorers_issues.py)
set_tests_properties(wire.scorers_issues PROPERTIES LABELS quick TIMEOUT 120
                     ENVIRONMENT QUERN_BIN=$<TARGET_FILE:quern>)
add_test(NAME client.scorers_issues.mlflow3 COMMAND ${QUERN_PY3} ${CMAKE_SOURCE_DIR}/tests/client/scorers_issues.py)
set_tests_properties(client.scorers_issues.mlflow3 PROPERTIES LABELS full TIMEOUT 300
                     ENVIRONMENT QUERN_BIN=$<TARGET_FILE:quern>)
