// SPDX-License-Identifier: Apache-2.0
/// \file `LogFile`: a file that a run writes to while it goes on, and that others may follow.
#pragma once

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include <zeropp/core/descriptor.hpp>
#include <zeropp/core/error.hpp>

namespace zeropp {

/// What is written is on its way to the disk when `write` returns. A path that is open already
/// (/dev/stdout) is written to where it stands.
class LogFile {
public:
    enum class Open { anew, at_the_end };

    explicit LogFile(std::string path, Open how = Open::anew)
        : path_{std::move(path)}, file_{open(path_, how), &std::fclose} {
        require(file_ != nullptr, Errc::io, path_, ": ", std::strerror(errno),
                ", expected a file that can be written");
    }
    /// `what` is written, as in "a line of the log".
    void write(std::string_view bytes, const char* what) {
        const bool written =
            std::fwrite(bytes.data(), 1, bytes.size(), file_.get()) == bytes.size() &&
            std::fflush(file_.get()) == 0;
        require(written, Errc::io, path_, ": ", std::strerror(errno), ", expected to write ", what);
    }
    /// Nothing was in it when it was opened, or written since.
    bool is_empty() const { return std::ftell(file_.get()) == 0; }

private:
    static std::FILE* open(const std::string& path, Open how) {
        const int named = descriptor_named(path);
        if (named < 0) {
            std::FILE* const file = std::fopen(path.c_str(), how == Open::anew ? "we" : "ae");
            if (file != nullptr && how == Open::at_the_end) std::fseek(file, 0, SEEK_END);
            return file;
        }
        const int descriptor = duplicate_to_write(named);
        return descriptor < 0 ? nullptr : ::fdopen(descriptor, "w");
    }

    std::string path_;
    std::unique_ptr<std::FILE, int (*)(std::FILE*)> file_;
};

/// The folder `output_path`/`job_name`, as DeepSpeed's monitors name theirs, made if it is not
/// there. `who` speaks in the error.
inline std::filesystem::path monitor_folder(const std::string& who, const std::string& output_path,
                                            const std::string& job_name) {
    const std::filesystem::path folder = std::filesystem::path{output_path} / job_name;
    require(!folder.empty(), Errc::config, who,
            ": output_path and job_name are empty, expected a folder's name");
    std::error_code error;
    std::filesystem::create_directories(folder, error);
    require(!error && std::filesystem::is_directory(folder, error), Errc::io, who, ": ",
            folder.string(), ": ", error ? error.message() : std::string{"is no folder"},
            ", expected a folder that can be made and written to");
    return folder;
}

}  // namespace zeropp
