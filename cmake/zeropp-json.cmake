# zeropp::json: JSON files (format/json.hpp). Used as is by the source tree and by the package.
find_package(nlohmann_json QUIET CONFIG)
set(zeropp_json_FOUND ${nlohmann_json_FOUND})
set(zeropp_json_MISSING "zeropp: component 'json': no nlohmann_json found, expected one; on Debian: apt-get install nlohmann-json3-dev")
if(zeropp_json_FOUND AND NOT TARGET zeropp::json)
    add_library(zeropp::json INTERFACE IMPORTED)
    target_link_libraries(zeropp::json INTERFACE zeropp::zeropp nlohmann_json::nlohmann_json)
endif()
