# cmake -DROOT=. -DCLANG_FORMAT=clang-format -P cmake/check_format.cmake: our sources are as clang-format writes them.
cmake_minimum_required(VERSION 3.25)
file(GLOB_RECURSE sources ${ROOT}/include/*.hpp ${ROOT}/tests/*.hpp ${ROOT}/tests/*.cpp
    ${ROOT}/examples/*.hpp ${ROOT}/examples/*.cpp ${ROOT}/bench/*.hpp ${ROOT}/bench/*.cpp)
execute_process(COMMAND ${CLANG_FORMAT} --dry-run -Werror ${sources} RESULT_VARIABLE result)
if(NOT result EQUAL 0)
    message(FATAL_ERROR "zeropp: not formatted, expected what clang-format -i leaves")
endif()
