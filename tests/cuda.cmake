# The GPU's programs, compiled wherever nvcc is, and run where a GPU is too. tests/gpu.sh does the same
# without CMake.
find_program(ZEROPP_NVCC NAMES nvcc HINTS /usr/local/cuda/bin)
set(ZEROPP_CUDA_ARCHITECTURES 90 CACHE STRING "Of the GPU programs: 75 80 90 ...")
if(NOT ZEROPP_NVCC OR NOT CMAKE_CXX_COMPILER_ID STREQUAL GNU)
    message(STATUS "zeropp: the GPU's tests are left out, for want of: nvcc with g++")
    return()
endif()
set(architectures "")
foreach(architecture IN LISTS ZEROPP_CUDA_ARCHITECTURES)
    list(APPEND architectures -gencode=arch=compute_${architecture},code=sm_${architecture})
endforeach()
file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/cuda/*.cu)
foreach(source IN LISTS sources)
    cmake_path(GET source STEM name)
    set(program ${CMAKE_CURRENT_BINARY_DIR}/cuda/${name})
    file(MAKE_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR}/cuda)
    add_custom_command(OUTPUT ${program} DEPFILE ${program}.d DEPENDS ${source}
        COMMAND ${ZEROPP_NVCC} -std=c++20 -O2 -Werror all-warnings -Xcompiler=-Wall,-Wextra ${architectures}
            -MD -MF ${program}.d -MT ${program} -I${PROJECT_SOURCE_DIR}/include -I${CMAKE_CURRENT_SOURCE_DIR}
            ${source} -o ${program}
        VERBATIM)
    add_custom_target(cuda_${name} ALL DEPENDS ${program})
    add_test(NAME cuda.${name} COMMAND ${program})
    # 77: there is no GPU, and the program says so.
    set_tests_properties(cuda.${name} PROPERTIES TIMEOUT 900 SKIP_RETURN_CODE 77)
endforeach()

# Every header of the GPU's compiles on its own, and a .cpp that includes one is told so.
set(checks "")
foreach(header IN LISTS component_headers)
    zeropp_components_of(needed ${header})
    if(NOT "cuda" IN_LIST needed)
        continue()
    endif()
    cmake_path(RELATIVE_PATH header BASE_DIRECTORY ${PROJECT_SOURCE_DIR}/include OUTPUT_VARIABLE relative)
    string(MAKE_C_IDENTIFIER ${relative} name)
    set(unit ${CMAKE_CURRENT_BINARY_DIR}/cuda/${name}.cu)
    file(CONFIGURE OUTPUT ${unit} CONTENT "#include <${relative}>\n" @ONLY)
    add_custom_command(OUTPUT ${unit}.checked DEPENDS ${unit} ${header}
        COMMAND ${ZEROPP_NVCC} -std=c++20 -O0 -Werror all-warnings ${architectures} -I${PROJECT_SOURCE_DIR}/include
            --cuda -o ${unit}.checked ${unit}
        VERBATIM)
    list(APPEND checks ${unit}.checked)
endforeach()
add_custom_target(cuda_header_checks ALL DEPENDS ${checks})

add_test(NAME consumer.build_cuda COMMAND ${consumer} -DCASE=build_cuda -DCOMPILER=${CMAKE_CXX_COMPILER}
    -DNVCC=${ZEROPP_NVCC} ${script})
set_tests_properties(consumer.build_cuda PROPERTIES FIXTURES_REQUIRED installed_package TIMEOUT 900)
