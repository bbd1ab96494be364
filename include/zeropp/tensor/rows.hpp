// SPDX-License-Identifier: Apache-2.0
/// \file The rows of a value as dropout numbers them.
#pragma once

#include <zeropp/tensor/host/elementwise.hpp>
#include <zeropp/tensor/tape.hpp>

namespace zeropp::detail {

/// A value of shape [examples, length, width], or [rows, width]: then each row is an example.
template <class T>
DropoutRows dropout_rows(const T& tape, const Shape& shape, Dropout dropout) {
    DropoutRows all;
    all.rows = shape.rows();
    all.width = shape.width();
    all.length = shape.rank() == 3 ? shape[1] : 1;
    all.dropout = dropout;
    if (!dropout.active()) return all;
    all.seed = tape.options().seed;
    all.ordinals = tape.options().ordinals;
    require(all.ordinals.size() * all.length == all.rows, Errc::shape,
            "dropout: ", all.ordinals.size(), " ordinals for a value of shape ", shape,
            ", expected one an example; give them to Tape::start");
    return all;
}

}  // namespace zeropp::detail
