// SPDX-License-Identifier: Apache-2.0
/// \file Opens what is read as a stream, and reads whole files.
#pragma once

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
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

/// The whole file; `expected` as of `open_input`.
inline std::string read_text(const std::filesystem::path& path,
                             std::string_view expected = "a readable file") {
    std::ifstream stream = open_input(path, expected);
    std::string text;
    char block[16384];
    while (stream.read(block, sizeof block) || stream.gcount() > 0)
        text.append(block, static_cast<std::size_t>(stream.gcount()));
    require(!stream.bad(), Errc::io, path.string(), ": ", std::strerror(errno),
            ", expected to read the whole file");
    return text;
}

}  // namespace zeropp
