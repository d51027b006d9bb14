# SPDX-License-Identifier: Apache-2.0
# The prediction protocols: a table each, and the genuine servers and clients beside them.
foreach(protocol oip_conformance scoring_conformance scoring_differential tfs_conformance)
  add_test(NAME client.${protocol} COMMAND ${QUERN_PY3} ${CMAKE_SOURCE_DIR}/tests/client/${protocol}.py)
  set_tests_properties(client.${protocol} PROPERTIES LABELS full TIMEOUT 300
                       ENVIRONMENT "QUERN_BIN=$<TARGET_FILE:quern>;QUERN_VENVS=${QUERN_VENVS}")
endforeach()
add_test(NAME client.kserve COMMAND ${QUERN_PYTHON} ${CMAKE_SOURCE_DIR}/tests/client/kserve_client.py)
set_tests_properties(client.kserve PROPERTIES LABELS full TIMEOUT 600 SKIP_RETURN_CODE 77
                     ENVIRONMENT "QUERN_BIN=$<TARGET_FILE:quern>;QUERN_VENVS=${QUERN_VENVS}")
# Every kind of model, with the training libraries.
add_test(NAME client.equality
         COMMAND ${CMAKE_SOURCE_DIR}/tests/venv.sh flow3 ${CMAKE_SOURCE_DIR}/tests/client/equality.py)
set_tests_properties(client.equality PROPERTIES LABELS full TIMEOUT 600 SKIP_RETURN_CODE 77
                     ENVIRONMENT "QUERN_BIN=$<TARGET_FILE:quern>;QUERN_VENVS=${QUERN_VENVS}")
