# SPDX-License-Identifier: Apache-2.0
# Moving in from MLflow and out to it.
foreach(name transfer transfer_genai transfer_genai_live transfer_live transfer_odd)
  add_test(NAME client.${name} COMMAND ${QUERN_PYTHON} ${CMAKE_SOURCE_DIR}/tests/client/${name}.py)
  set_tests_properties(client.${name} PROPERTIES LABELS full TIMEOUT 300
                       ENVIRONMENT QUERN_BIN=$<TARGET_FILE:quern>)
endforeach()
