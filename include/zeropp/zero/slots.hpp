// SPDX-License-Identifier: Apache-2.0
/// \file How an optimizer's slots are stored.
#pragma once

#include <cstddef>
#include <type_traits>

#include <zeropp/core/precision.hpp>
#include <zeropp/optim/concepts.hpp>

namespace zeropp {

/// What slot N of an optimizer is stored as.
template <Optimizer O, std::size_t N>
using SlotElement = std::conditional_t<O::slots[N].format == SlotFormat::float32, float, Bf16>;

/// Bytes that so many elements take in a slot.
constexpr std::size_t slot_bytes(SlotFormat format, std::size_t elements) {
    return elements * (format == SlotFormat::float32 ? sizeof(float) : sizeof(Bf16));
}

}  // namespace zeropp
