// SPDX-License-Identifier: Apache-2.0
/// \file Rows of 16 bits to fp32, with the bits of one element at a time.
#include <bit>
#include <cstdint>
#include <vector>

#include <zeropp/device/widen.hpp>

#include "support/catch.hpp"

using namespace zeropp;

namespace {

/// Every value, NaNs too, in rows of odd widths that stand apart.
template <class E>
std::size_t elements_that_differ() {
    std::size_t differ = 0;
    for (const std::size_t columns : {1, 7, 8, 19, 250}) {
        const std::size_t stride = columns + 3, rows = 65536 / stride + 1;
        std::vector<E> in(rows * stride);
        for (std::size_t i = 0; i < in.size(); ++i) in[i].bits = static_cast<std::uint16_t>(i);
        std::vector<float> out(rows * columns);
        widen_rows(in.data(), stride, rows, columns, out.data());
        for (std::size_t i = 0; i < out.size(); ++i)
            differ += std::bit_cast<std::uint32_t>(out[i]) !=
                      std::bit_cast<std::uint32_t>(
                          static_cast<float>(in[i / columns * stride + i % columns]));
    }
    return differ;
}

}  // namespace

TEST_CASE("widened rows have the bits of each element's conversion") {
    CHECK(elements_that_differ<Half>() == 0);
    CHECK(elements_that_differ<Bf16>() == 0);
}
