// SPDX-License-Identifier: Apache-2.0
/// \file Host: rows taken from and added to a table.
#pragma once

#include <algorithm>
#include <concepts>
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
template <Scalar Out, Scalar E>
void gather_rows(Host, Out* out, const E* table, std::span<const std::int32_t> ids,
                 std::size_t width) {
    if constexpr (std::same_as<Out, E>)
        for (std::size_t i = 0; i < ids.size(); ++i)
            std::memcpy(static_cast<void*>(out + i * width),
                        table + static_cast<std::size_t>(ids[i]) * width, width * sizeof(E));
    else
        vectorized([&]() ZEROPP_INLINE {
            for (std::size_t i = 0; i < ids.size(); ++i) {
                const E* __restrict const from = table + static_cast<std::size_t>(ids[i]) * width;
                Out* __restrict const to = out + i * width;
                for (std::size_t c = 0; c < width; ++c) to[c] = static_cast<Out>(from[c]);
            }
        });
}

/// table[ids[i]] += rows[i]. Each row of the table is summed in `Wide`, in order of i, and rounded
/// once. Scratch: `order`, one an id, and `sum`, one a channel.
template <Scalar T, Scalar E>
void scatter_rows(Host, E* table, const T* rows, std::span<const std::int32_t> ids,
                  std::size_t width, std::span<std::uint64_t> order, Wide<E>* sum) {
    using W = Wide<E>;
    for (std::size_t i = 0; i < ids.size(); ++i)  // by row, then by i: no two are equal
        order[i] = static_cast<std::uint64_t>(ids[i]) << 32 | i;
    std::sort(order.begin(), order.end());
    vectorized([&]() ZEROPP_INLINE {
        for (std::size_t next = 0; next < order.size();) {
            const std::uint64_t row = order[next] >> 32;
            E* __restrict const to = table + row * width;
            W* __restrict const total = sum;
            for (std::size_t c = 0; c < width; ++c) total[c] = static_cast<W>(to[c]);
            for (; next < order.size() && order[next] >> 32 == row; ++next) {
                const T* __restrict const from = rows + (order[next] & 0xffffffffu) * width;
                for (std::size_t c = 0; c < width; ++c) total[c] += static_cast<W>(from[c]);
            }
            for (std::size_t c = 0; c < width; ++c) to[c] = static_cast<E>(total[c]);
        }
    });
}

}  // namespace zeropp
