// SPDX-License-Identifier: Apache-2.0
/// \file Opens what is read as a stream.
#pragma once

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string_view>

#include <zeropp/core/error.hpp>

namespace zeropp {

/// In bytes as they are. `expected` ends the message where there is no such file: "a SentencePiece
/// model".
inline std::ifstream open_input(const std::filesystem::path& path, std::string_view expected) {
    std::error_code error;
    require(!std::filesystem::is_directory(path, error), Errc::io, path.string(),
            ": is a directory, expected ", expected);
    std::ifstream stream{path, std::ios::binary};
    require(stream.good(), Errc::io, path.string(), ": ", std::strerror(errno), ", expected ",
            expected);
    return stream;
}

}  // namespace zeropp
