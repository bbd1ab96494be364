# What concerns the headers as a whole and the installed package.

# The layers, and that the check sees a breach.
add_test(NAME headers.keep_to_their_layers
    COMMAND ${CMAKE_COMMAND} -DROOT=${PROJECT_SOURCE_DIR} -P ${PROJECT_SOURCE_DIR}/cmake/check_layers.cmake)
add_test(NAME headers.layer_check_sees_a_breach
    COMMAND ${CMAKE_COMMAND} -DSCRATCH=${CMAKE_CURRENT_BINARY_DIR}/layers
        -DCHECK=${PROJECT_SOURCE_DIR}/cmake/check_layers.cmake
        -P ${CMAKE_CURRENT_SOURCE_DIR}/support/check_layers_test.cmake)

# Every header compiles on its own: the plain ones as zeropp's header set, the others with what they need.
set(header_checks zeropp_verify_interface_header_sets)
set(checked_headers ${plain_headers})
foreach(header IN LISTS component_headers)
    zeropp_components_of(needed ${header})
    if("cuda" IN_LIST needed)
        continue()  # cuda.cmake
    endif()
    zeropp_libraries_of(libraries missing ${header})
    if(missing)
        message(STATUS "zeropp: ${header} is not checked, for want of: ${missing}")
        continue()
    endif()
    list(APPEND checked_headers ${header})
    list(JOIN libraries "_" group)
    string(REGEX REPLACE "zeropp::|zeropp_strict_?" "" group "headers_${group}")
    if(NOT TARGET ${group})
        add_library(${group} INTERFACE)
        target_link_libraries(${group} INTERFACE ${libraries})
        set_target_properties(${group} PROPERTIES VERIFY_INTERFACE_HEADER_SETS TRUE)
        list(APPEND header_checks ${group}_verify_interface_header_sets)
    endif()
    target_sources(${group} INTERFACE FILE_SET HEADERS BASE_DIRS ${PROJECT_SOURCE_DIR}/include FILES ${header})
endforeach()
add_custom_target(zeropp_header_checks ALL DEPENDS ${header_checks})

# Two translation units that include everything link into one program.
set(includes "")
zeropp_libraries_of(libraries missing ${checked_headers})
foreach(header IN LISTS checked_headers)
    cmake_path(RELATIVE_PATH header BASE_DIRECTORY ${PROJECT_SOURCE_DIR}/include)
    string(APPEND includes "#include <${header}>\n")
endforeach()
file(CONFIGURE OUTPUT two_units_include/all_headers.hpp CONTENT "${includes}" @ONLY)
add_executable(two_units two_units/a.cpp two_units/b.cpp)
target_include_directories(two_units PRIVATE ${CMAKE_CURRENT_BINARY_DIR}/two_units_include)
target_link_libraries(two_units PRIVATE ${libraries})
add_test(NAME headers.may_be_included_by_two_units COMMAND two_units)

# The other compiler accepts every header too.
find_program(ZEROPP_CLANG NAMES clang++-14 clang++)
set(own "^(${PROJECT_SOURCE_DIR}|${PROJECT_BINARY_DIR})")
set(all_folders "$<TARGET_PROPERTY:two_units,INCLUDE_DIRECTORIES>")
set(own_folders "-I$<JOIN:$<FILTER:${all_folders},INCLUDE,${own}>,;-I>")
set(other_folders "-isystem$<JOIN:$<FILTER:${all_folders},EXCLUDE,${own}|^/usr/include$>,;-isystem>")
if(ZEROPP_CLANG AND NOT CMAKE_CXX_COMPILER_ID MATCHES Clang)
    add_test(NAME headers.compile_with_clang
        COMMAND ${ZEROPP_CLANG} -std=c++20 -fsyntax-only -Wall -Wextra -Wshadow -Werror "${own_folders}" "${other_folders}"
            ${CMAKE_CURRENT_SOURCE_DIR}/two_units/b.cpp
        COMMAND_EXPAND_LISTS)
endif()

# A wrong combination must not compile, and its first error must be the sentence on the file's first line.
file(GLOB cases CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/compile_fail/*.cpp)
foreach(file IN LISTS cases)
    cmake_path(GET file STEM name)
    add_test(NAME compile_fail.${name}
        COMMAND ${CMAKE_COMMAND} -DCOMPILER=${CMAKE_CXX_COMPILER} -DINCLUDE=${PROJECT_SOURCE_DIR}/include
            -DFILE=${file} -P ${CMAKE_CURRENT_SOURCE_DIR}/support/compile_fail.cmake)
endforeach()

# The installed package and the source tree, used by a project that is not ours.
list(JOIN ZEROPP_MPIRUN " " mpirun)
set(consumer ${CMAKE_COMMAND} -DSOURCE=${PROJECT_SOURCE_DIR} -DBUILD=${PROJECT_BINARY_DIR}
    -DSCRATCH=${CMAKE_CURRENT_BINARY_DIR}/consumer -DGENERATOR=${CMAKE_GENERATOR}
    "-DMPIRUN=${mpirun}" -DPKG_CONFIG=${PKG_CONFIG_EXECUTABLE})
set(script -P ${CMAKE_CURRENT_SOURCE_DIR}/support/consumer.cmake)
add_test(NAME consumer.install COMMAND ${consumer} -DCASE=install ${script})
set_tests_properties(consumer.install PROPERTIES FIXTURES_SETUP installed_package)
set(cases missing_component unknown_component pkg_config)
if(TARGET zeropp::mpi)
    list(APPEND cases build add_subdirectory)
endif()
foreach(case IN LISTS cases)
    add_test(NAME consumer.${case} COMMAND ${consumer} -DCASE=${case} -DCOMPILER=${CMAKE_CXX_COMPILER} ${script})
    set_tests_properties(consumer.${case} PROPERTIES FIXTURES_REQUIRED installed_package)
    if(ZEROPP_CLANG AND case MATCHES "build" AND NOT CMAKE_CXX_COMPILER_ID MATCHES Clang)
        add_test(NAME consumer.${case}_with_clang
            COMMAND ${consumer} -DCASE=${case} -DCOMPILER=${ZEROPP_CLANG} ${script})
        set_tests_properties(consumer.${case}_with_clang PROPERTIES FIXTURES_REQUIRED installed_package)
    endif()
endforeach()

# The style, where the tool is there in the version that wrote it or a newer one.
find_program(ZEROPP_CLANG_FORMAT NAMES clang-format-14 clang-format)
if(ZEROPP_CLANG_FORMAT)
    execute_process(COMMAND ${ZEROPP_CLANG_FORMAT} --version OUTPUT_VARIABLE version)
    string(REGEX REPLACE ".*version ([0-9]+).*" "\\1" version "${version}")
    if(version EQUAL 14)
        add_test(NAME headers.are_formatted
            COMMAND ${CMAKE_COMMAND} -DROOT=${PROJECT_SOURCE_DIR} -DCLANG_FORMAT=${ZEROPP_CLANG_FORMAT}
                -P ${PROJECT_SOURCE_DIR}/cmake/check_format.cmake)
    endif()
endif()
