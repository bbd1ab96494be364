// SPDX-License-Identifier: Apache-2.0
/// \file How many blocks of a GPU a number of elements takes. Plain arithmetic.
#pragma once

#include <algorithm>
#include <cstddef>

namespace zeropp {

struct Launch {
    unsigned blocks = 0, threads = 0;
};

/// One element a thread, at most `most` blocks: threads stride over what is more. No block where
/// there is nothing to do.
constexpr Launch launch_of(std::size_t elements, unsigned threads = 256, unsigned most = 1u << 16) {
    const std::size_t blocks = elements / threads + (elements % threads != 0 ? 1 : 0);
    return {static_cast<unsigned>(std::min<std::size_t>(blocks, most)), threads};
}

}  // namespace zeropp
