# The layer check must see what it is there for: each case is a header that breaks one rule.
cmake_minimum_required(VERSION 3.25)
set(tree ${SCRATCH}/include/zeropp)

function(expect_refusal header include sentence)
    file(REMOVE_RECURSE ${SCRATCH})
    file(WRITE ${tree}/core/error.hpp "#pragma once\n")
    file(WRITE ${tree}/zero/engine.hpp "#pragma once\n#include <zeropp/core/error.hpp>\n")
    file(WRITE ${tree}/io/config.hpp "#pragma once\n#include <iostream>\n#include <zeropp/data/text.hpp>\n")
    file(WRITE ${tree}/data/text.hpp "#pragma once\n#include <zeropp/core/error.hpp>\n")
    if(header)
        file(APPEND ${tree}/${header} "#include <${include}>\n")
    endif()
    execute_process(COMMAND ${CMAKE_COMMAND} -DROOT=${SCRATCH} -P ${CHECK}
        RESULT_VARIABLE result ERROR_VARIABLE output)
    string(REGEX REPLACE "[ \n]+" " " output "${output}")
    string(FIND "${output}" "${sentence}" place)
    if(sentence STREQUAL "")
        if(NOT result EQUAL 0)
            message(FATAL_ERROR "the good tree was refused: ${output}")
        endif()
    elseif(result EQUAL 0 OR place LESS 0)
        message(FATAL_ERROR "expected \"${sentence}\", got: ${output}")
    endif()
endfunction()

expect_refusal("" "" "")
expect_refusal(core/error.hpp zeropp/zero/engine.hpp
    "core/error.hpp: includes zeropp/zero/engine.hpp, expected nothing above layer 'core'")
expect_refusal(core/error.hpp zeropp/data/text.hpp
    "core/error.hpp: includes zeropp/data/text.hpp, expected nothing above layer 'core'")
expect_refusal(data/text.hpp zeropp/io/config.hpp
    "data/text.hpp: includes zeropp/io/config.hpp, expected nothing above layer 'data'")
expect_refusal(zero/engine.hpp iostream "zero/engine.hpp: includes <iostream>")
expect_refusal(misc/thing.hpp zeropp/core/error.hpp "misc/thing.hpp: layer 'misc' is unknown")
expect_refusal(trainer.hpp mpi.h "trainer.hpp: needs the components mpi, expected none")
