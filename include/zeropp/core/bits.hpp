// SPDX-License-Identifier: Apache-2.0
/// \file `bit_cast`, on a GPU too.
#pragma once

#include <zeropp/core/config.hpp>

namespace zeropp {

/// As std::bit_cast, which is no function of a GPU.
template <class To, class From>
ZEROPP_HD constexpr To bit_cast(const From& value) noexcept {
    static_assert(sizeof(To) == sizeof(From));
    return __builtin_bit_cast(To, value);
}

}  // namespace zeropp
