// SPDX-License-Identifier: Apache-2.0
/// \file `MappedFile` to read, and `NewFile`, which appears whole or not at all.
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
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <zeropp/core/descriptor.hpp>
#include <zeropp/core/error.hpp>

namespace zeropp {

/// A whole file, read-only, paged in as it is read. Its length is that of the opening.
class MappedFile {
public:
    explicit MappedFile(const std::filesystem::path& path) {
        const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
        require(file >= 0, Errc::io, path.string(), ": ", std::strerror(errno),
                ", expected a readable file");
        struct stat status {};
        const bool regular = ::fstat(file, &status) == 0 && S_ISREG(status.st_mode);
        if (regular && status.st_size != 0) {
            size_ = static_cast<std::size_t>(status.st_size);
            at_ = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, file, 0);
        }
        const int error = errno;
        ::close(file);
        require(regular, Errc::io, path.string(), ": is no regular file, expected one");
        require(at_ != MAP_FAILED, Errc::io, path.string(), ": ", std::strerror(error),
                ", expected to map the file");
    }
    MappedFile(MappedFile&& other) noexcept
        : at_{std::exchange(other.at_, nullptr)}, size_{std::exchange(other.size_, 0)} {}
    MappedFile& operator=(MappedFile&&) = delete;
    ~MappedFile() {
        if (at_ != nullptr && at_ != MAP_FAILED) ::munmap(at_, size_);
    }
    std::span<const std::byte> bytes() const noexcept {
        return {static_cast<const std::byte*>(at_), size_};
    }

private:
    void* at_ = nullptr;
    std::size_t size_ = 0;
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
