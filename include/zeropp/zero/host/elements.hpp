// SPDX-License-Identifier: Apache-2.0
/// \file Host: what a step measures and finds, and masters in and out.
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>

#include <zeropp/core/master_split.hpp>
#include <zeropp/core/precision.hpp>
#include <zeropp/device/for_each.hpp>
#include <zeropp/device/host.hpp>
#include <zeropp/device/squares.hpp>
#include <zeropp/zero/element.hpp>

namespace zeropp {

/// Sum of squares, in the blocks and lanes of device/squares.hpp from the first element.
template <Element G>
double sum_of_squares(Host, std::span<const G> values) {
    double total = 0;
    for (std::size_t first = 0; first < values.size(); first += square_block) {
        const G* const block = values.data() + first;
        total += sum_of_squares(std::min(square_block, values.size() - first),
                                [block](std::size_t i)
                                    ZEROPP_INLINE { return static_cast<float>(block[i]); });
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

/// Masters from values in the host's memory, and the parameters that follow from them; `parts` is
/// empty where no master is kept.
template <Element E>
void set_masters(Host host, std::span<const float> values, std::span<E> parameters,
                 std::span<typename Master<E>::Part> parts) {
    for_each_element(host, values.size(),
                     SplitElement<E>{values.data(), parameters.data(), parts.data()});
}
/// The masters, into the host's memory.
template <Element E>
void get_masters(Host host, std::span<const E> parameters,
                 std::span<const typename Master<E>::Part> parts, std::span<float> values) {
    for_each_element(host, values.size(),
                     JoinElement<E>{parameters.data(), parts.data(), values.data()});
}

}  // namespace zeropp
