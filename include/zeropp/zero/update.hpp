// SPDX-License-Identifier: Apache-2.0
/// \file The element-wise work of a step on the host: accumulate, measure, update.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>
#include <type_traits>
#include <utility>

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

/// What slot N of an optimizer is stored as.
template <Optimizer O, std::size_t N>
using SlotElement = std::conditional_t<O::slots[N].format == SlotFormat::float32, float, Bf16>;

/// One fused pass: unscale, clip, update, cast. `master` is null for fp32 parameters, which are
/// their own; slot N is an array of `SlotElement<O, N>`.
template <Optimizer O, Element E, Element G, class Constants>
void update_elements(const Constants& constants, float scale, std::size_t count, E* parameter,
                     typename Master<E>::Part* master, const G* gradient,
                     std::array<std::byte*, O::slots.size()> slots) {
    constexpr bool keeps_master = Master<E>::row.bytes != 0;
    const auto with_slots = [=]<std::size_t... N>(std::index_sequence<N...>) ZEROPP_INLINE {
        const Constants c = constants;
        E* const p = parameter;
        auto* const parts = master;
        const G* const g = gradient;
        const auto update_one = [=](std::size_t i) ZEROPP_INLINE {
            std::array<float, sizeof...(N)> s{
                static_cast<float>(reinterpret_cast<const SlotElement<O, N>*>(slots[N])[i])...};
            typename Master<E>::Part part{};
            if constexpr (keeps_master) part = parts[i];
            const float value =
                O::update(c, Master<E>::join(p[i], part), static_cast<float>(g[i]) * scale, s);
            Master<E>::split(value, p[i], part);
            if constexpr (keeps_master) parts[i] = part;
            ((reinterpret_cast<SlotElement<O, N>*>(slots[N])[i] = SlotElement<O, N>(s[N])), ...);
        };
        // Blocks of a fixed count: at -O2 compilers vectorise no other loop.
        std::size_t first = 0;
        for (; first + 64 <= count; first += 64) {
            ZEROPP_VECTOR_LOOP
            for (std::size_t i = 0; i < 64; ++i) update_one(first + i);
        }
        for (; first < count; ++first) update_one(first);
    };
    vectorized([=]() ZEROPP_INLINE { with_slots(std::make_index_sequence<O::slots.size()>{}); });
}

}  // namespace zeropp
