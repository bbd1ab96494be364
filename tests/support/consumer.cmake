# One case of the consumer tests: a project of its own uses what `cmake --install` left in SCRATCH/prefix.
cmake_minimum_required(VERSION 3.25)
set(prefix ${SCRATCH}/prefix)
set(projects ${SOURCE}/tests/consumer)

function(run)  # stops unless the command succeeds
    execute_process(COMMAND ${ARGN} RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
    set(output "${output}" PARENT_SCOPE)
    if(NOT result EQUAL 0)
        message(FATAL_ERROR "${ARGN}\nended with ${result}:\n${output}")
    endif()
endfunction()

function(expect_refusal sentence)  # configuring the consumer must end with the sentence
    set(folder ${SCRATCH}/refused-${CASE})  # cases run at the same time
    file(REMOVE_RECURSE ${folder})
    execute_process(COMMAND ${CMAKE_COMMAND} -G ${GENERATOR} -S ${projects}/package -B ${folder}
        -DCMAKE_PREFIX_PATH=${prefix} -DCMAKE_CXX_COMPILER=${COMPILER} ${ARGN}
        RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
    string(REGEX REPLACE "[ \n]+" " " output "${output}")
    string(FIND "${output}" "${sentence}" place)
    if(result EQUAL 0 OR place LESS 0)
        message(FATAL_ERROR "expected \"${sentence}\", got (${result}): ${output}")
    endif()
endfunction()

function(build_and_run folder)  # configure, build, two processes
    file(REMOVE_RECURSE ${folder})
    run(${CMAKE_COMMAND} -G ${GENERATOR} -B ${folder} -DCMAKE_CXX_COMPILER=${COMPILER} ${ARGN})
    run(${CMAKE_COMMAND} --build ${folder})
    separate_arguments(launcher UNIX_COMMAND "${MPIRUN}")
    run(${launcher} 2 ${folder}/consumer)
    if(NOT output MATCHES "2 ranks meet at 0\\.500")
        message(FATAL_ERROR "printed ${output}, expected 2 ranks meet at 0.500")
    endif()
endfunction()

string(REGEX REPLACE ".*/" "" compiler_name "${COMPILER}")
if(CASE STREQUAL "install")
    file(REMOVE_RECURSE ${prefix})
    run(${CMAKE_COMMAND} --install ${BUILD} --prefix ${prefix} --component development)
elseif(CASE STREQUAL "build")
    build_and_run(${SCRATCH}/${CASE}-${compiler_name} -S ${projects}/package -DCMAKE_PREFIX_PATH=${prefix})
elseif(CASE STREQUAL "build_cuda")
    set(folder ${SCRATCH}/${CASE})
    file(REMOVE_RECURSE ${folder})
    run(${CMAKE_COMMAND} -G ${GENERATOR} -S ${projects}/cuda -B ${folder} -DCMAKE_PREFIX_PATH=${prefix}
        -DCMAKE_CXX_COMPILER=${COMPILER} -DCMAKE_CUDA_COMPILER=${NVCC} -DCMAKE_CUDA_FLAGS=-std=c++20
        -DCMAKE_CUDA_ARCHITECTURES=90)
    run(${CMAKE_COMMAND} --build ${folder})
    run(${folder}/consumer)
    if(NOT output MATCHES "GPUs: [0-9]+")
        message(FATAL_ERROR "printed ${output}, expected the number of GPUs")
    endif()
elseif(CASE STREQUAL "add_subdirectory")
    build_and_run(${SCRATCH}/${CASE}-${compiler_name} -S ${projects}/subdirectory -DZEROPP_SOURCE=${SOURCE})
elseif(CASE STREQUAL "missing_component")
    expect_refusal("zeropp: component 'mpi': no MPI for C++ found, expected one; on Debian: apt-get install libopenmpi-dev openmpi-bin"
        -DCMAKE_DISABLE_FIND_PACKAGE_MPI=TRUE)
    expect_refusal("zeropp: component 'json': no nlohmann_json found, expected one; on Debian: apt-get install nlohmann-json3-dev"
        -DCONSUMER_COMPONENT=json -DCMAKE_DISABLE_FIND_PACKAGE_nlohmann_json=TRUE)
    expect_refusal("zeropp: component 'onednn': no oneDNN found, expected one; on Debian: apt-get install libdnnl-dev"
        -DCONSUMER_COMPONENT=onednn -DZEROPP_ONEDNN_LIBRARY=)
    expect_refusal("zeropp: component 'sentencepiece': no SentencePiece found, expected one; on Debian: apt-get install libsentencepiece-dev"
        -DCONSUMER_COMPONENT=sentencepiece -DZEROPP_SENTENCEPIECE_LIBRARY=)
    expect_refusal("zeropp: component 'cuda': no CUDA Toolkit found, expected version 12 or newer; install NVIDIA's cuda-toolkit package, or set CUDAToolkit_ROOT"
        -DCONSUMER_COMPONENT=cuda -DCMAKE_DISABLE_FIND_PACKAGE_CUDAToolkit=TRUE)
elseif(CASE STREQUAL "unknown_component")
    expect_refusal("zeropp: component 'tpu' is unknown, expected mpi, onednn, sentencepiece, json or cuda"
        -DCONSUMER_COMPONENT=tpu)
elseif(CASE STREQUAL "pkg_config")
    set(ENV{PKG_CONFIG_PATH} ${prefix}/share/pkgconfig)
    run(${PKG_CONFIG} --cflags zeropp)
    if(NOT output MATCHES "-I[^ ]*/include")
        message(FATAL_ERROR "pkg-config --cflags printed ${output}, expected the include folder")
    endif()
    separate_arguments(flags UNIX_COMMAND "${output}")
    file(WRITE ${SCRATCH}/pkg_config.cpp "#include <zeropp/trainer.hpp>\nint main() { return zeropp::zero<0>.shards_optimizer; }\n")
    run(${COMPILER} -std=c++20 ${flags} ${SCRATCH}/pkg_config.cpp -o ${SCRATCH}/pkg_config)
    run(${SCRATCH}/pkg_config)
else()
    message(FATAL_ERROR "case '${CASE}' is unknown")
endif()
