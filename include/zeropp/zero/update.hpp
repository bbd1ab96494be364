// SPDX-License-Identifier: Apache-2.0
/// \file The element-wise work of a step, on whichever device: a device's own header has the
/// kernels, found by the type of their first argument.
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>

#include <zeropp/device/concepts.hpp>
#include <zeropp/zero/host/elements.hpp>
#include <zeropp/zero/layout.hpp>

namespace zeropp {

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
