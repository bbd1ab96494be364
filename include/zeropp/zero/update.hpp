// SPDX-License-Identifier: Apache-2.0
/// \file The element-wise work of a step, on whichever device: `for_each_element`,
/// `sum_of_squares`, `first_not_finite`, `set_masters` and `get_masters` are the device's own,
/// found by the type of their first argument; so is `make_updater`.
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <vector>

#include <zeropp/device/concepts.hpp>
#include <zeropp/device/for_each.hpp>
#include <zeropp/zero/element.hpp>
#include <zeropp/zero/host/elements.hpp>
#include <zeropp/zero/host/updater.hpp>
#include <zeropp/zero/layout.hpp>
#include <zeropp/zero/options.hpp>

namespace zeropp {

/// The optimizer's own, then one with the rates of each group.
template <Element E, Device D, class O>
std::vector<Updater<E, D>> make_updaters(const D& device, const O& optimizer,
                                         const ParameterGroups& groups) {
    std::vector<Updater<E, D>> all;
    all.push_back(make_updater<E>(device, optimizer, GroupRates{}));
    for (const ParameterGroup& group : groups.groups)
        all.push_back(make_updater<E>(device, optimizer, group.rates()));
    return all;
}

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

/// Sum of squares of the bucket's trainable elements in [first, first + values.size()).
template <Element G, Device D>
double sum_of_squares(const D& device, const Bucket& bucket, std::size_t first,
                      std::span<const G> values) {
    double total = 0;
    for_each_trainable_segment(bucket, first, first + values.size(),
                               [&](const Segment&, std::size_t begin, std::size_t count) {
                                   total +=
                                       sum_of_squares(device, values.subspan(begin - first, count));
                               });
    return total;
}

/// The first of the bucket's trainable elements in [first, first + values.size()) that is not
/// finite, as an element of the bucket; bucket.padded if there is none.
template <Element G, Device D>
std::size_t first_not_finite(const D& device, const Bucket& bucket, std::size_t first,
                             std::span<const G> values) {
    std::size_t found = bucket.padded;
    for_each_trainable_segment(bucket, first, first + values.size(),
                               [&](const Segment&, std::size_t begin, std::size_t count) {
                                   if (found != bucket.padded) return;
                                   const std::size_t at = first_not_finite(
                                       device, values.subspan(begin - first, count));
                                   if (at < count) found = begin + at;
                               });
    return found;
}

}  // namespace zeropp
