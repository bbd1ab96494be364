// SPDX-License-Identifier: Apache-2.0
/// \file What tensors may hold: the model's element types, and double for numeric Jacobians.
#pragma once

#include <concepts>
#include <type_traits>

#include <zeropp/core/precision.hpp>

namespace zeropp {

template <class T>
concept Scalar = Element<T> || std::same_as<T, double>;

/// What sums and single steps are computed in: fp32 for the 16-bit types.
template <Scalar E>
using Wide = std::conditional_t<std::same_as<E, double>, double, float>;

}  // namespace zeropp
