// SPDX-License-Identifier: Apache-2.0
/// \file Host: rows taken from and added to a table.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include <zeropp/device/host.hpp>
#include <zeropp/device/instruction_set.hpp>
#include <zeropp/tensor/scalar.hpp>

namespace zeropp {

template <Scalar E>
void fill_zero(Host, E* data, std::size_t count) {
    std::memset(static_cast<void*>(data), 0, count * sizeof(E));  // zero bits are zero
}

/// out[i] = table[ids[i]].
template <Scalar E>
void gather_rows(Host, E* out, const E* table, std::span<const std::int32_t> ids,
                 std::size_t width) {
    for (std::size_t i = 0; i < ids.size(); ++i)
        std::memcpy(static_cast<void*>(out + i * width),
                    table + static_cast<std::size_t>(ids[i]) * width, width * sizeof(E));
}

/// table[ids[i]] += rows[i], in order of i.
template <Scalar E>
void scatter_rows(Host, E* table, const E* rows, std::span<const std::int32_t> ids,
                  std::size_t width) {
    using W = Wide<E>;
    vectorized([&]() ZEROPP_INLINE {
        for (std::size_t i = 0; i < ids.size(); ++i) {
            E* __restrict const to = table + static_cast<std::size_t>(ids[i]) * width;
            const E* __restrict const from = rows + i * width;
            for (std::size_t c = 0; c < width; ++c)
                to[c] = static_cast<E>(static_cast<W>(to[c]) + static_cast<W>(from[c]));
        }
    });
}

}  // namespace zeropp
