# cmake -DROOT=. -DCLANG_FORMAT=clang-format -P cmake/check_format.cmake: our sources are as clang-format writes them.
cmake_minimum_required(VERSION 3.25)
file(GLOB_RECURSE sources ${ROOT}/include/*.hpp ${ROOT}/tests/*.hpp ${ROOT}/tests/*.cpp
    ${ROOT}/examples/*.hpp ${ROOT}/examples/*.cpp ${ROOT}/bench/*.hpp ${ROOT}/bench/*.cpp)
execute_process(COMMAND ${CLANG_FORMAT} --dry-run -Werror ${sources} RESULT_VARIABLE result ERROR_VARIABLE output)
if(NOT result EQUAL 0)
    string(REGEX MATCHALL "[^\n:]+:[0-9]+:[0-9]+: error" places "${output}")
    list(TRANSFORM places REPLACE ":[0-9]+:[0-9]+: error" "")
    list(REMOVE_DUPLICATES places)
    list(JOIN places "\n  " places)
    message(FATAL_ERROR "zeropp: not formatted, expected what clang-format -i leaves:\n  ${places}")
endif()
