// SPDX-License-Identifier: Apache-2.0
/// \file What zeropp asks of a place that holds memory and runs work.
#pragma once

#include <concepts>
#include <cstddef>
#include <string_view>

namespace zeropp {

// clang-format off
/// A handle, not a resource: copies name the same place. Work runs in issue order; only
/// `synchronize` makes the host wait.
template <class D>
concept Device = std::copyable<D> && requires(D device, std::byte* to, const std::byte* from, std::size_t bytes) {
    { device.allocate(bytes) } -> std::same_as<std::byte*>;   // 64-byte aligned, zeroed
    { device.deallocate(to, bytes) } noexcept;
    device.copy(to, from, bytes);
    device.fill_zero(to, bytes);
    device.synchronize();
    { device.name() } -> std::convertible_to<std::string_view>;
};
// clang-format on

}  // namespace zeropp
