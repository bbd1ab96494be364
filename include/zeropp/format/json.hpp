// SPDX-License-Identifier: Apache-2.0
/// \file Reads files that are JSON.
#pragma once

#include <filesystem>

#include <zeropp/core/error.hpp>
#include <zeropp/core/json.hpp>
#include <zeropp/data/input.hpp>

namespace zeropp {

inline Json read_json(const std::filesystem::path& path) {
    return parse_json(read_text(path), path.string());
}

/// An object; one without keys where there is no such file.
inline Json read_json_object_if_any(const std::filesystem::path& path) {
    std::error_code error;
    if (!std::filesystem::exists(path, error)) return Json::object();
    Json json = read_json(path);
    require(json.is_object(), Errc::config, path.string(), ": is ", json.type_name(),
            ", expected an object");
    return json;
}

}  // namespace zeropp
