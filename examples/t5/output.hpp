// SPDX-License-Identifier: Apache-2.0
/// \file Outputs are tried before the work starts, and appear whole or not at all.
#pragma once

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string>
#include <string_view>

#include <unistd.h>

#include <zeropp/core/error.hpp>

/// An error if nothing can be made at `path`: the folder it would stand in, or the nearest one
/// that there is, is tried. Leaves nothing behind.
inline void require_writable(const std::filesystem::path& path, const std::string& flag) {
    std::filesystem::path folder = std::filesystem::absolute(path).lexically_normal();
    if (!folder.has_filename()) folder = folder.parent_path();
    std::error_code error;
    do folder = folder.parent_path();
    while (!std::filesystem::exists(folder, error) && folder.has_relative_path());
    std::string probe = (folder / ".zeropp-XXXXXX").string();
    const int file = mkstemp(probe.data());
    zeropp::require(file >= 0, zeropp::Errc::io, flag, " ", path.string(), ": ",
                    std::strerror(errno), ", expected a place that can be written to");
    close(file);
    std::filesystem::remove(probe, error);
}

/// The same for a directory that is to be written.
inline void require_writable_folder(const std::filesystem::path& path, const std::string& flag) {
    std::error_code error;
    const bool is_other =
        std::filesystem::exists(path, error) && !std::filesystem::is_directory(path, error);
    zeropp::require(!is_other, zeropp::Errc::io, flag, " ", path.string(),
                    ": is a file, expected a directory or nothing");
    require_writable(path, flag);
}
