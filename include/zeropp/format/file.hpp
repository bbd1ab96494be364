// SPDX-License-Identifier: Apache-2.0
/// \file `InputFile` to read, and `NewFile`, which appears whole or not at all.
#pragma once

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <zeropp/core/descriptor.hpp>
#include <zeropp/core/error.hpp>

namespace zeropp {

/// A regular file, read where it is asked for; nothing of it stays in this process. Its length is
/// that of the opening. Threads may share it.
class InputFile {
public:
    explicit InputFile(std::filesystem::path path)
        : path_{std::move(path)}, file_{::open(path_.c_str(), O_RDONLY | O_CLOEXEC)} {
        require(file_ >= 0, Errc::io, path_.string(), ": ", std::strerror(errno),
                ", expected a readable file");
        struct stat status {};
        const bool regular = ::fstat(file_, &status) == 0 && S_ISREG(status.st_mode);
        if (!regular) ::close(file_);
        require(regular, Errc::io, path_.string(), ": is no regular file, expected one");
        size_ = static_cast<std::uint64_t>(status.st_size);
    }
    InputFile(const InputFile&) = delete;
    InputFile& operator=(const InputFile&) = delete;
    ~InputFile() { ::close(file_); }

    std::uint64_t size() const noexcept { return size_; }
    /// All of `bytes`, from `offset` on.
    void read_at(std::uint64_t offset, std::span<std::byte> bytes) const {
        while (!bytes.empty()) {
            const ssize_t count =
                ::pread(file_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
            if (count < 0 && errno == EINTR) continue;
            require(count >= 0, Errc::io, path_.string(), ": ", std::strerror(errno),
                    ", expected to read the whole file");
            require(count != 0, Errc::io, path_.string(), ": ends at byte ", offset, ", expected ",
                    size_, " bytes as when it was opened");
            offset += static_cast<std::uint64_t>(count);
            bytes = bytes.subspan(static_cast<std::size_t>(count));
        }
    }

private:
    std::filesystem::path path_;
    int file_;
    std::uint64_t size_ = 0;
};

/// Written as `path`.partial; `publish` gives it its name. Without it the file is removed again.
/// What is there and no regular file (a pipe), or open already (/dev/stdout), is written to as it
/// is, from begin to end.
class NewFile {
public:
    explicit NewFile(std::filesystem::path path) : path_{std::move(path)} {
        struct stat status {};
        const int descriptor = descriptor_named(path_.native());
        const bool stream =
            descriptor >= 0 || (::stat(path_.c_str(), &status) == 0 && !S_ISREG(status.st_mode) &&
                                !S_ISDIR(status.st_mode));
        if (!stream) partial_ = path_.string() + ".partial";
        file_ = descriptor >= 0 ? duplicate_to_write(descriptor)
                : stream        ? ::open(path_.c_str(), O_WRONLY | O_CLOEXEC)
                         : ::open(partial_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
        check(file_ >= 0, "a file that can be written");
    }
    NewFile(NewFile&& other) noexcept
        : path_{std::move(other.path_)},
          partial_{std::move(other.partial_)},
          file_{std::exchange(other.file_, -1)},
          streamed_{other.streamed_} {}
    NewFile& operator=(NewFile&&) = delete;
    ~NewFile() {
        if (file_ < 0) return;
        ::close(file_);
        if (!is_stream()) ::unlink(partial_.c_str());
    }

    void write_at(std::uint64_t offset, std::span<const std::byte> bytes) {
        require(!is_stream() || offset == streamed_, Errc::io, path_.string(),
                ": is no regular file, expected one for what is not written in order");
        while (!bytes.empty()) {
            const ssize_t count = is_stream() ? ::write(file_, bytes.data(), bytes.size())
                                              : ::pwrite(file_, bytes.data(), bytes.size(),
                                                         static_cast<off_t>(offset));
            if (count < 0 && errno == EINTR) continue;
            check(count > 0, "to write the whole file; nothing is left of it");
            offset += static_cast<std::uint64_t>(count);
            streamed_ = offset;
            bytes = bytes.subspan(static_cast<std::size_t>(count));
        }
    }
    void write(std::string_view text) {
        write_at(0, std::as_bytes(std::span{text.data(), text.size()}));
    }
    /// Everything is on the disk when it returns.
    void sync() {
        check(is_stream() || ::fsync(file_) == 0, "to write the whole file; nothing is left of it");
    }
    /// Replaces what had the name before. `sync` comes first, the folder's own sync after.
    void publish() {
        check(is_stream() || ::rename(partial_.c_str(), path_.c_str()) == 0,
              "to rename the written file");
        ::close(std::exchange(file_, -1));
    }
    const std::filesystem::path& path() const noexcept { return path_; }

private:
    bool is_stream() const noexcept { return partial_.empty(); }
    void check(bool good, const char* expected) const {
        require(good, Errc::io, path_.string(), ": ", std::strerror(errno), ", expected ",
                expected);
    }

    std::filesystem::path path_, partial_;
    int file_ = -1;
    std::uint64_t streamed_ = 0;
};

/// Makes renames in the folder last.
inline void sync_folder(const std::filesystem::path& path) {
    const int folder = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const bool good = folder >= 0 && ::fsync(folder) == 0;
    const int error = errno;
    if (folder >= 0) ::close(folder);
    require(good, Errc::io, path.string(), ": ", std::strerror(error),
            ", expected a folder that can be synchronised");
}

}  // namespace zeropp
