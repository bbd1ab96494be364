// SPDX-License-Identifier: Apache-2.0
/// \file Plain addresses that kernels take: `Strided` rows, and a `Gradient` to contribute to.
#pragma once

#include <cstddef>

namespace zeropp {

/// Elements of rows that stand `stride` apart.
template <class T>
struct Strided {
    T* data = nullptr;
    std::size_t stride = 0;
};

/// The contribution is written if it is the first, added if not. Null: it is not wanted.
template <class T>
struct Gradient {
    T* data = nullptr;
    bool add = false;
    explicit operator bool() const noexcept { return data != nullptr; }
};

}  // namespace zeropp
