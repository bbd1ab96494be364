// SPDX-License-Identifier: Apache-2.0
/// \file Reads whole files, and those that are JSON.
#pragma once

#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>
#include <string>

#include <zeropp/core/error.hpp>
#include <zeropp/core/json.hpp>

namespace zeropp {

/// The whole file.
inline std::string read_text(const std::filesystem::path& path) {
    std::error_code error;
    require(!std::filesystem::is_directory(path, error), Errc::io, path.string(),
            ": is a directory, expected a file");
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file{std::fopen(path.c_str(), "rb"),
                                                               std::fclose};
    require(file != nullptr, Errc::io, path.string(), ": ", std::strerror(errno),
            ", expected a readable file");
    std::string text;
    char block[16384];
    for (std::size_t count; (count = std::fread(block, 1, sizeof block, file.get())) != 0;)
        text.append(block, count);
    require(std::ferror(file.get()) == 0, Errc::io, path.string(), ": ", std::strerror(errno),
            ", expected to read the whole file");
    return text;
}

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
