// SPDX-License-Identifier: Apache-2.0
/// \file How much memory this process has touched, as the kernel counts it.
#pragma once

#include <cstdint>
#include <cstdio>

#include <sys/resource.h>
#include <unistd.h>

namespace zeropp {

/// The largest resident set of this process so far.
inline std::uint64_t peak_rss_bytes() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    return static_cast<std::uint64_t>(usage.ru_maxrss) * 1024;
}

/// The resident set of this process now; 0 where /proc does not say.
inline std::uint64_t rss_bytes() {
    unsigned long long all = 0, resident = 0;
    std::FILE* const file = std::fopen("/proc/self/statm", "re");
    if (file == nullptr) return 0;
    if (std::fscanf(file, "%llu %llu", &all, &resident) != 2) resident = 0;
    std::fclose(file);
    return resident * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

}  // namespace zeropp
