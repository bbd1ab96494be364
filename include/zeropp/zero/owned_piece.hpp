// SPDX-License-Identifier: Apache-2.0
/// \file `OwnedPiece`: what an updater is given at once.
#pragma once

#include <cstddef>

#include <zeropp/core/master_split.hpp>
#include <zeropp/core/precision.hpp>

namespace zeropp {

/// Elements of a bucket that one rank owns, and of one tensor: from `at` of what is owned on.
template <Element E, Element G>
struct OwnedPiece {
    std::size_t at = 0, count = 0;
    std::size_t in_tensor = 0, in_bucket = 0;  ///< where it begins in both
    E* parameters = nullptr;                   ///< of the first element of the piece, as the rest
    typename Master<E>::Part* masters = nullptr;
    const G* gradients = nullptr;
};

}  // namespace zeropp
