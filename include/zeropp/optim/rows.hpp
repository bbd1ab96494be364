// SPDX-License-Identifier: Apache-2.0
/// \file For rules that look at rows: the runs of a piece that lie in one row each, and sums of
/// squares.
#pragma once

#include <algorithm>
#include <cstddef>

#include <zeropp/device/instruction_set.hpp>
#include <zeropp/optim/rule.hpp>

namespace zeropp::detail {

/// Calls visit(row, column, at, count) for each run: the elements `at` on of the piece.
template <class Visit>
void by_row(const Tensor2d& tensor, const TensorPiece& piece, const Visit& visit) {
    std::size_t at = 0;
    while (at < piece.count) {
        const std::size_t element = piece.first + at, column = element % tensor.columns;
        const std::size_t count = std::min(piece.count - at, tensor.columns - column);
        visit(element / tensor.columns, column, at, count);
        at += count;
    }
}

/// Of values(i), in double over 16 fixed lanes: the same bits with every instruction set.
template <class Values>
double sum_of_squares(std::size_t count, const Values& values) {
    constexpr std::size_t lanes = 16;
    double total = 0;
    vectorized([&, values, count]() ZEROPP_INLINE {
        double lane[lanes] = {};
        const auto add = [&](std::size_t i, std::size_t j) ZEROPP_INLINE {
            const auto value = static_cast<double>(values(i));
            lane[j] += value * value;
        };
        std::size_t i = 0;
        for (; i + lanes <= count; i += lanes)
            for (std::size_t j = 0; j < lanes; ++j) add(i + j, j);
        for (std::size_t j = 0; i + j < count; ++j) add(i + j, j);
        for (std::size_t j = 0; j < lanes; ++j) total += lane[j];
    });
    return total;
}

}  // namespace zeropp::detail
