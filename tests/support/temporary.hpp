// SPDX-License-Identifier: Apache-2.0
/// \file A directory of a test's own, and the message of an error.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <string_view>

#include <zeropp/core/error.hpp>

namespace zeropp::testing {

/// Removed with everything in it.
class TemporaryFolder {
public:
    TemporaryFolder() {
        std::string name = (std::filesystem::temp_directory_path() / "zeropp-XXXXXX").string();
        path_ = ::mkdtemp(name.data());
    }
    TemporaryFolder(const TemporaryFolder&) = delete;
    TemporaryFolder& operator=(const TemporaryFolder&) = delete;
    ~TemporaryFolder() {
        std::error_code error;
        std::filesystem::remove_all(path_, error);
    }
    const std::filesystem::path& path() const noexcept { return path_; }
    std::filesystem::path operator/(const std::string& name) const { return path_ / name; }
    std::filesystem::path write(const std::string& name, std::string_view bytes) const {
        const auto file = path_ / name;
        std::FILE* const to = std::fopen(file.c_str(), "wb");
        std::fwrite(bytes.data(), 1, bytes.size(), to);
        std::fclose(to);
        return file;
    }

private:
    std::filesystem::path path_;
};

/// What `call` says when it refuses; empty if it does not. `folder` is left out of it.
template <class Call>
std::string message_of(Call call, const std::filesystem::path& folder = {}) {
    try {
        call();
    } catch (const Error& error) {
        std::string text = error.what();
        const std::string name = folder.string() + "/";
        for (std::size_t at; !folder.empty() && (at = text.find(name)) != text.npos;)
            text.erase(at, name.size());
        return text;
    }
    return {};
}

}  // namespace zeropp::testing
