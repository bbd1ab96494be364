// SPDX-License-Identifier: Apache-2.0
/// \file For rules that look at rows: the runs of a piece that lie in one row each.
#pragma once

#include <algorithm>
#include <cstddef>

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

}  // namespace zeropp::detail
