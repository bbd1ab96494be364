// SPDX-License-Identifier: Apache-2.0
/// \file Paths that name what is open already: /dev/stdout, /dev/fd/3.
#pragma once

#include <cerrno>
#include <charconv>
#include <string_view>

#include <fcntl.h>

namespace zeropp {

/// The descriptor that the path names, or -1. To open such a path anew would give a file a second
/// position, and what is written to both would overlap.
inline int descriptor_named(std::string_view path) {
    if (path == "/dev/stdin") return 0;
    if (path == "/dev/stdout") return 1;
    if (path == "/dev/stderr") return 2;
    for (const std::string_view folder : {"/dev/fd/", "/proc/self/fd/"}) {
        if (!path.starts_with(folder)) continue;
        int number = -1;
        const char* const end = path.data() + path.size();
        const auto [last, error] = std::from_chars(path.data() + folder.size(), end, number);
        if (error == std::errc{} && last == end && number >= 0) return number;
    }
    return -1;
}

/// Another descriptor of the same open file; -1 and errno where there is none to write to.
inline int duplicate_to_write(int descriptor) {
    const int mode = ::fcntl(descriptor, F_GETFL);
    if (mode < 0) return -1;
    if ((mode & O_ACCMODE) == O_RDONLY) {
        errno = EBADF;
        return -1;
    }
    return ::fcntl(descriptor, F_DUPFD_CLOEXEC, 0);
}

}  // namespace zeropp
