# Everything that reads a file, under libFuzzer, from the inputs in fuzz/corpus/<parser>. For longer:
#   build/release/tests/fuzz/parsers_fuzz --parser=NAME -max_total_time=600 FOLDER tests/fuzz/corpus/NAME
set(fuzzer ${CMAKE_CURRENT_BINARY_DIR}/fuzz/parsers_fuzz)
set(source ${CMAKE_CURRENT_SOURCE_DIR}/fuzz/parsers_fuzz.cpp)
set(flags -std=c++20 -O1 -g1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all)
set(found FALSE)
if(ZEROPP_CLANG AND TARGET zeropp::json)
    file(WRITE ${CMAKE_CURRENT_BINARY_DIR}/fuzz/probe.cpp
        "extern \"C\" int LLVMFuzzerTestOneInput(const unsigned char*, unsigned long) { return 0; }\n")
    execute_process(COMMAND ${ZEROPP_CLANG} ${flags} ${CMAKE_CURRENT_BINARY_DIR}/fuzz/probe.cpp -o ${fuzzer}_probe
        RESULT_VARIABLE status OUTPUT_QUIET ERROR_QUIET)
    if(status EQUAL 0)
        set(found TRUE)
    endif()
endif()
if(NOT found)
    message(STATUS "zeropp: the parsers' fuzzer is left out, for want of clang's (Debian: clang-14, libclang-rt-14-dev)")
    return()
endif()
add_custom_command(OUTPUT ${fuzzer} DEPFILE ${fuzzer}.d DEPENDS ${source}
    COMMAND ${ZEROPP_CLANG} ${flags} -MD -MF ${fuzzer}.d -MT ${fuzzer} "${own_folders}" "${other_folders}" ${source} -o ${fuzzer}
    COMMAND_EXPAND_LISTS VERBATIM)
add_custom_target(parsers_fuzz ALL DEPENDS ${fuzzer})
file(GLOB parsers CONFIGURE_DEPENDS RELATIVE ${CMAKE_CURRENT_SOURCE_DIR}/fuzz/corpus ${CMAKE_CURRENT_SOURCE_DIR}/fuzz/corpus/*)
foreach(parser IN LISTS parsers)
    file(GLOB inputs CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/fuzz/corpus/${parser}/*)
    list(JOIN inputs "," inputs) # and nothing from an earlier run, so that a failure repeats
    add_test(NAME fuzz.${parser} COMMAND ${fuzzer} --parser=${parser} -runs=30000 -seed=1 -max_len=4096
        -timeout=60 -artifact_prefix=${CMAKE_CURRENT_BINARY_DIR}/fuzz/${parser}_ -seed_inputs=${inputs})
    set_tests_properties(fuzz.${parser} PROPERTIES TIMEOUT 600)
endforeach()
