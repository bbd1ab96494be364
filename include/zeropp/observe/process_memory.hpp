// SPDX-License-Identifier: Apache-2.0
/// \file How much memory this process has touched, as the kernel counts it.
#pragma once

#include <cstdint>

#include <sys/resource.h>

namespace zeropp {

/// The largest resident set of this process so far.
inline std::uint64_t peak_rss_bytes() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    return static_cast<std::uint64_t>(usage.ru_maxrss) * 1024;
}

}  // namespace zeropp
