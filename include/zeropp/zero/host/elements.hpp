// SPDX-License-Identifier: Apache-2.0
/// \file Host: the element-wise work of a step: accumulate, measure, search, update, masters.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>
#include <utility>

#include <zeropp/core/master_split.hpp>
#include <zeropp/core/precision.hpp>
#include <zeropp/device/host.hpp>
#include <zeropp/device/instruction_set.hpp>
#include <zeropp/optim/concepts.hpp>
#include <zeropp/zero/slots.hpp>

namespace zeropp {

/// sum = values, or sum += values, in fp32 and rounded to G.
template <Element E, Element G>
void accumulate(Host, std::span<const E> values, std::span<G> sum, bool first) {
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
void accumulate(Host host, std::span<E> values, std::span<G> sum, bool first) {
    accumulate<E, G>(host, std::span<const E>{values}, sum, first);
}

template <Element From, Element To>
void round_to(Host host, std::span<const From> from, std::span<To> to) {
    accumulate<From, To>(host, from, to, true);
}
template <Element From, Element To>
void round_to(Host host, std::span<From> from, std::span<To> to) {
    accumulate<From, To>(host, std::span<const From>{from}, to, true);
}

/// Sum of squares in double over 16 fixed lanes, in blocks of 4,096 elements from the first.
template <Element G>
double sum_of_squares(Host, std::span<const G> values) {
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

/// The first element that is not finite; values.size() if there is none.
template <Element G>
std::size_t first_not_finite(Host, std::span<const G> values) {
    const auto found = std::find_if(values.begin(), values.end(),
                                    [](G value) { return !is_finite(static_cast<float>(value)); });
    return static_cast<std::size_t>(found - values.begin());
}

/// Parameters, and what is kept of their masters beside them, from fp32 `values` of the host.
/// `parts` may be empty: then nothing is kept.
template <Element E>
void set_masters(Host, std::span<const float> values, std::span<E> parameters,
                 std::span<typename Master<E>::Part> parts) {
    for (std::size_t i = 0; i < values.size(); ++i) {
        typename Master<E>::Part part{};
        Master<E>::split(values[i], parameters[i], part);
        if (!parts.empty()) parts[i] = part;
    }
}
/// The fp32 masters into `values` of the host; where nothing is kept, the parameters.
template <Element E>
void get_masters(Host, std::span<const E> parameters,
                 std::span<const typename Master<E>::Part> parts, std::span<float> values) {
    for (std::size_t i = 0; i < values.size(); ++i)
        values[i] = parts.empty() ? static_cast<float>(parameters[i])
                                  : Master<E>::join(parameters[i], parts[i]);
}

/// One fused pass: unscale, clip, update, cast. `master` is null for fp32 parameters, which are
/// their own; slot N is an array of `SlotElement<O, N>`.
template <Optimizer O, Element E, Element G, class Constants>
void update_elements(Host, const Constants& constants, float scale, std::size_t count, E* parameter,
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
