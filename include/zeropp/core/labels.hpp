// SPDX-License-Identifier: Apache-2.0
/// \file The one label that both the text and the loss know.
#pragma once

#include <cstdint>

namespace zeropp {

/// Labels with this value do not count.
inline constexpr std::int32_t ignored_label = -100;

}  // namespace zeropp
