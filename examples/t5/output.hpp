// SPDX-License-Identifier: Apache-2.0
/// \file Outputs are tried before the work starts, and appear whole or not at all.
#pragma once

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <initializer_list>
#include <string>
#include <string_view>

#include <unistd.h>

#include <zeropp/core/descriptor.hpp>
#include <zeropp/core/error.hpp>

/// An error if no file can be made in `folder`; `flag path` is what it is for. Leaves nothing.
inline void require_writable_place(const std::filesystem::path& folder, const std::string& flag,
                                   const std::filesystem::path& path) {
    std::string probe = (folder / ".zeropp-XXXXXX").string();
    const int file = mkstemp(probe.data());
    zeropp::require(file >= 0, zeropp::Errc::io, flag, " ", path.string(), ": ",
                    std::strerror(errno), ", expected a place that can be written to");
    close(file);
    unlink(probe.c_str());
}

/// `input`: a file, or a model's directory.
inline bool is_read_from(const std::filesystem::path& path, const std::filesystem::path& input) {
    std::error_code error;
    if (!std::filesystem::is_directory(input, error))
        return std::filesystem::equivalent(path, input, error);
    const std::filesystem::path kind = path.extension();
    return (kind == ".json" || kind == ".model" || kind == ".safetensors") &&
           std::filesystem::exists(path, error) &&
           std::filesystem::equivalent(std::filesystem::absolute(path).parent_path(), input, error);
}

/// The file that a link names, so that the link stays what it is.
inline std::filesystem::path followed(const std::filesystem::path& path) {
    std::error_code error;
    const bool link = zeropp::descriptor_named(path.native()) < 0 &&
                      std::filesystem::is_symlink(path, error) &&
                      std::filesystem::is_regular_file(path, error);
    return link ? std::filesystem::canonical(path, error) : path;
}

/// For a file that is to be written: its folder has to be there, and it is none of the inputs.
inline void require_writable(const std::filesystem::path& path, const std::string& flag,
                             std::initializer_list<std::string> inputs) {
    std::error_code error;
    for (const std::string& input : inputs)
        zeropp::require(!is_read_from(path, input), zeropp::Errc::io, flag, " ", path.string(),
                        ": is read from ", input,
                        ", expected another file than those that are read");
    zeropp::require(!path.filename().empty() && !std::filesystem::is_directory(path, error),
                    zeropp::Errc::io, flag, " ", path.string(),
                    ": is a directory, expected a file");
    if (const int named = zeropp::descriptor_named(path.native()); named >= 0) {
        const int descriptor = zeropp::duplicate_to_write(named);
        zeropp::require(descriptor >= 0, zeropp::Errc::io, flag, " ", path.string(), ": ",
                        std::strerror(errno), ", expected a place that can be written to");
        close(descriptor);
        return;
    }
    const auto status = std::filesystem::status(path, error);
    if (std::filesystem::exists(status) && !std::filesystem::is_regular_file(status))
        zeropp::require(access(path.c_str(), W_OK) == 0, zeropp::Errc::io, flag, " ", path.string(),
                        ": ", std::strerror(errno), ", expected a place that can be written to");
    else
        require_writable_place(std::filesystem::absolute(followed(path)).parent_path(), flag, path);
}

/// The path, or the nearest one above it that there is.
inline std::filesystem::path nearest_folder(const std::filesystem::path& path) {
    std::error_code error;
    std::filesystem::path folder = std::filesystem::absolute(path).lexically_normal();
    while (!std::filesystem::exists(folder, error) && folder.has_relative_path())
        folder = folder.parent_path();
    return folder;
}

/// Of all regular files of a directory that are no weights, in bytes.
inline std::uintmax_t bytes_beside_weights(const std::filesystem::path& directory) {
    std::uintmax_t bytes = 0;
    std::error_code error;
    for (const auto& file : std::filesystem::directory_iterator{directory, error})
        if (file.is_regular_file(error) && file.path().extension() != ".safetensors" &&
            file.path().extension() != ".bin")
            bytes += file.file_size(error);
    return bytes;
}

/// For a directory that is to be written: it, or the nearest one above it that there is, is tried.
inline void require_writable_folder(const std::filesystem::path& path, const std::string& flag) {
    std::error_code error;
    zeropp::require(
        !std::filesystem::exists(path, error) || std::filesystem::is_directory(path, error),
        zeropp::Errc::io, flag, " ", path.string(), ": is a file, expected a directory or nothing");
    zeropp::require(
        std::filesystem::exists(path, error) || !std::filesystem::is_symlink(path, error),
        zeropp::Errc::io, flag, " ", path.string(),
        ": is a link to nothing, expected a directory or nothing");
    const std::filesystem::path folder = nearest_folder(path);
    require_writable_place(folder, flag, path);
    // It is made under a longer name first.
    const auto longest = static_cast<std::size_t>(pathconf(folder.c_str(), _PC_NAME_MAX));
    constexpr std::size_t suffix = std::string_view{".partial1"}.size();
    for (const auto& name : std::filesystem::absolute(path).lexically_normal())
        zeropp::require(name.native().size() + suffix <= longest, zeropp::Errc::io, flag, " ",
                        path.string(), ": a name in it has ", name.native().size(),
                        " bytes, expected at most ", longest - suffix);
}

/// `bytes`: of what will be written to `path`, beside what is there until it is whole.
inline void require_space(const std::filesystem::path& path, const std::string& flag,
                          std::uintmax_t bytes) {
    std::error_code error;
    const std::filesystem::space_info space = std::filesystem::space(nearest_folder(path), error);
    zeropp::require(error || space.available >= bytes, zeropp::Errc::io, flag, " ", path.string(),
                    ": ", space.available, " bytes are free there, expected at least ", bytes,
                    " for the model");
}

/// For what a program is asked to print: an error where it cannot be.
inline void print(const std::string& text) {
    const bool printed =
        std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0;
    zeropp::require(printed, zeropp::Errc::io, "standard output: ", std::strerror(errno),
                    ", expected to write the result");
}
