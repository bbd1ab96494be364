// SPDX-License-Identifier: Apache-2.0
/// \file The element-wise work of a step on the host: accumulate, measure, update.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>

#include <zeropp/core/master_split.hpp>
#include <zeropp/core/precision.hpp>
#include <zeropp/device/instruction_set.hpp>
#include <zeropp/optim/concepts.hpp>
#include <zeropp/zero/layout.hpp>

namespace zeropp {

/// sum = values, or sum += values, in fp32 and rounded to G.
template <Element E, Element G>
void accumulate(std::span<const E> values, std::span<G> sum, bool first) {
    const E* const from = values.data();
    G* const to = sum.data();
    const std::size_t count = values.size();
    vectorized([=]() ZEROPP_INLINE {
        if (first)
            for (std::size_t i = 0; i < count; ++i)
                to[i] = static_cast<G>(static_cast<float>(from[i]));
        else
            for (std::size_t i = 0; i < count; ++i)
                to[i] = static_cast<G>(static_cast<float>(to[i]) + static_cast<float>(from[i]));
    });
}
template <Element E, Element G>
void accumulate(std::span<E> values, std::span<G> sum, bool first) {
    accumulate<E, G>(std::span<const E>{values}, sum, first);
}

template <Element From, Element To>
void round_to(std::span<const From> from, std::span<To> to) {
    accumulate<From, To>(from, to, true);
}
template <Element From, Element To>
void round_to(std::span<From> from, std::span<To> to) {
    accumulate<From, To>(std::span<const From>{from}, to, true);
}

/// Sum of squares in double over 16 fixed lanes, in blocks of 4,096 elements from the first.
template <Element G>
double sum_of_squares(std::span<const G> values) {
    constexpr std::size_t lanes = 16, block = 4096;
    double total = 0;
    const G* const from = values.data();
    for (std::size_t first = 0; first < values.size(); first += block) {
        const std::size_t count = std::min(block, values.size() - first);
        double sum = 0;
        vectorized([&, from]() ZEROPP_INLINE {
            double lane[lanes] = {};
            const G* const at = from + first;
            std::size_t i = 0;
            for (; i + lanes <= count; i += lanes)
                for (std::size_t j = 0; j < lanes; ++j) {
                    const auto x = static_cast<double>(static_cast<float>(at[i + j]));
                    lane[j] = __builtin_fma(x, x, lane[j]);
                }
            for (std::size_t j = 0; i + j < count; ++j) {
                const auto x = static_cast<double>(static_cast<float>(at[i + j]));
                lane[j] = __builtin_fma(x, x, lane[j]);
            }
            for (std::size_t j = 0; j < lanes; ++j) sum += lane[j];
        });
        total += sum;
    }
    return total;
}

/// Sum of squares of the bucket's trainable elements in [first, first + values.size()).
template <Element G>
double sum_of_squares(const Bucket& bucket, std::size_t first, std::span<const G> values) {
    double total = 0;
    for (const Segment& segment : bucket.segments) {
        if (!segment.trainable) continue;
        const std::size_t begin = std::max(segment.first, first);
        const std::size_t end = std::min(segment.first + segment.size, first + values.size());
        if (begin < end) total += sum_of_squares(values.subspan(begin - first, end - begin));
    }
    return total;
}

/// One fused pass: unscale, clip, update, cast. `master` is null for fp32 parameters, which are
/// their own.
template <Optimizer O, Element E, Element G, class Constants>
void update_elements(const Constants& constants, float scale, std::size_t count, E* parameter,
                     typename Master<E>::Part* master, const G* gradient,
                     std::array<float*, O::slots.size()> slots) {
    constexpr std::size_t slot_count = O::slots.size();
    constexpr bool keeps_master = Master<E>::row.bytes != 0;
    vectorized([=]() ZEROPP_INLINE {
        const Constants c = constants;
        E* const __restrict p = parameter;
        auto* const __restrict parts = master;
        const G* const __restrict g = gradient;
        float* const __restrict s0 =
            slot_count > 0 ? slots[0 % std::max<std::size_t>(1, slot_count)] : nullptr;
        float* const __restrict s1 =
            slot_count > 1 ? slots[1 % std::max<std::size_t>(1, slot_count)] : nullptr;
        static_assert(slot_count <= 2, "zeropp: an optimizer has at most two slots");
        const auto update_one = [=](std::size_t i) ZEROPP_INLINE {
            std::array<float, slot_count> s;
            if constexpr (slot_count > 0) s[0] = s0[i];
            if constexpr (slot_count > 1) s[1] = s1[i];
            typename Master<E>::Part part{};
            if constexpr (keeps_master) part = parts[i];
            const float value =
                O::update(c, Master<E>::join(p[i], part), static_cast<float>(g[i]) * scale, s);
            Master<E>::split(value, p[i], part);
            if constexpr (keeps_master) parts[i] = part;
            if constexpr (slot_count > 0) s0[i] = s[0];
            if constexpr (slot_count > 1) s1[i] = s[1];
        };
        // Blocks of a fixed count: at -O2 compilers vectorise no other loop.
        std::size_t first = 0;
        for (; first + 64 <= count; first += 64) {
            ZEROPP_VECTOR_LOOP
            for (std::size_t i = 0; i < 64; ++i) update_one(first + i);
        }
        for (; first < count; ++first) update_one(first);
    });
}

}  // namespace zeropp
