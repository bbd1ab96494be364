// SPDX-License-Identifier: Apache-2.0
/// \file The label that does not count.
#pragma once

#include <cstdint>

namespace zeropp {

/// Labels with this value have no loss: padding, prompts. Hugging Face's and PyTorch's number.
inline constexpr std::int32_t ignored_label = -100;

}  // namespace zeropp
