# zeropp::onednn: matrix products (device/onednn.hpp). Used as is by the source tree and by the package.
# Not through oneDNN's own package file: Debian's asks for OpenCL, which nothing here needs.
find_path(ZEROPP_ONEDNN_INCLUDE_DIR oneapi/dnnl/dnnl.hpp)
find_library(ZEROPP_ONEDNN_LIBRARY dnnl)
mark_as_advanced(ZEROPP_ONEDNN_INCLUDE_DIR ZEROPP_ONEDNN_LIBRARY)
if(ZEROPP_ONEDNN_INCLUDE_DIR AND ZEROPP_ONEDNN_LIBRARY)
    set(zeropp_onednn_FOUND TRUE)
else()
    set(zeropp_onednn_FOUND FALSE)
endif()
set(zeropp_onednn_MISSING "zeropp: component 'onednn': no oneDNN found, expected one; on Debian: apt-get install libdnnl-dev")
if(zeropp_onednn_FOUND AND NOT TARGET zeropp::onednn)
    add_library(zeropp::onednn INTERFACE IMPORTED)
    target_include_directories(zeropp::onednn INTERFACE ${ZEROPP_ONEDNN_INCLUDE_DIR})
    # gomp: the OpenMP library that Debian's oneDNN runs on, by which a rank chooses its threads. By name: it stands
    # in the compiler's own folder.
    target_link_libraries(zeropp::onednn INTERFACE zeropp::zeropp ${ZEROPP_ONEDNN_LIBRARY} gomp)
endif()
