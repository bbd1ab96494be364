// SPDX-License-Identifier: Apache-2.0
/// \file The element-wise work of a step, on whichever device: `for_each_element`,
/// `sum_of_squares`, `first_not_finite`, `set_masters` and `get_masters` are the device's own,
/// found by the type of their first argument.
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>

#include <zeropp/device/concepts.hpp>
#include <zeropp/device/for_each.hpp>
#include <zeropp/zero/element.hpp>
#include <zeropp/zero/host/elements.hpp>
#include <zeropp/zero/layout.hpp>

namespace zeropp {

/// sum = values, or sum += values, in fp32 and rounded to G.
template <Element E, Element G, Device D>
void accumulate(const D& device, std::span<const E> values, std::span<G> sum, bool first) {
    if (first)
        for_each_element(device, values.size(), RoundElement<E, G>{values.data(), sum.data()});
    else
        for_each_element(device, values.size(), AddElement<E, G>{values.data(), sum.data()});
}
template <Element E, Element G, Device D>
void accumulate(const D& device, std::span<E> values, std::span<G> sum, bool first) {
    accumulate<E, G>(device, std::span<const E>{values}, sum, first);
}

template <Element From, Element To, Device D>
void round_to(const D& device, std::span<const From> from, std::span<To> to) {
    for_each_element(device, from.size(), RoundElement<From, To>{from.data(), to.data()});
}
template <Element From, Element To, Device D>
void round_to(const D& device, std::span<From> from, std::span<To> to) {
    round_to<From, To>(device, std::span<const From>{from}, to);
}

/// One fused pass over `count` elements: unscale, clip, update, cast.
template <Optimizer O, Element E, Element G, class Constants, Device D>
void update_elements(const D& device, const Constants& constants, float scale, std::size_t count,
                     E* parameter, typename Master<E>::Part* master, const G* gradient,
                     SlotPlaces<O::slots.size()> slots) {
    for_each_element(
        device, count,
        UpdateElement<O, E, G, Constants>{constants, scale, parameter, master, gradient, slots});
}

/// Sum of squares of the bucket's trainable elements in [first, first + values.size()).
template <Element G, Device D>
double sum_of_squares(const D& device, const Bucket& bucket, std::size_t first,
                      std::span<const G> values) {
    double total = 0;
    for (const Segment& segment : bucket.segments) {
        if (!segment.trainable) continue;
        const std::size_t begin = std::max(segment.first, first);
        const std::size_t end = std::min(segment.first + segment.size, first + values.size());
        if (begin < end)
            total += sum_of_squares(device, values.subspan(begin - first, end - begin));
    }
    return total;
}

}  // namespace zeropp
