# The plan of the house and its list of features, held against the tree itself.
set(floor ${CMAKE_SOURCE_DIR}/tests/floor)
add_test(NAME floor.plan COMMAND ${QUERN_PYTHON} ${floor}/floors.py ${CMAKE_SOURCE_DIR})
add_test(NAME floor.plan_finds COMMAND ${QUERN_PYTHON} ${floor}/floors_check.py)
add_test(NAME floor.features COMMAND ${QUERN_PYTHON} ${floor}/features.py
         ${CMAKE_SOURCE_DIR}/docs/features.md ${CMAKE_BINARY_DIR} ${CMAKE_CTEST_COMMAND})
add_test(NAME floor.format COMMAND ${QUERN_PYTHON} ${floor}/format.py ${CMAKE_SOURCE_DIR})
set_tests_properties(floor.plan floor.plan_finds floor.features floor.format PROPERTIES LABELS quick TIMEOUT 60)
# Two rooms with a function of one name: the linker takes the first without a word.
add_test(NAME floor.symbols COMMAND ${QUERN_PYTHON} ${floor}/symbols.py ${CMAKE_BINARY_DIR})
set_tests_properties(floor.symbols PROPERTIES LABELS quick TIMEOUT 60)
