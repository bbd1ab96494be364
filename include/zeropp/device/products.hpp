// SPDX-License-Identifier: Apache-2.0
/// \file What is asked of matrix products.
#pragma once

#include <concepts>
#include <cstddef>
#include <span>

#include <zeropp/core/fingerprint.hpp>
#include <zeropp/core/precision.hpp>

namespace zeropp {

enum class Transpose : bool { no, yes };

// clang-format off
/// Row-major products: C = alpha * op(A) * op(B) + beta * C, with op(A) m x k, op(B) k x n, C m x n,
/// and the leading dimensions of A, B and C as they are stored. beta = 0 writes C without reading it.
/// Sums are in fp32 (double for double), and C is rounded once. C must not overlap A or B.
/// In fp16, C or A may be of a residual stream, and so in fp32 (`Stream<E>`).
/// `workspace<E>()` elements of memory are lent to it for as long as it is used.
/// `describe` adds what decides a product's bits beside its arguments: ranks must agree on it.
template <class P, class E>
concept Products = requires(P products, const P view, Transpose t, std::size_t n, float scalar, const E* in, E* out, const Stream<E>* in_stream, Stream<E>* stream, std::span<float> memory, Fingerprint& fields) {
    products.gemm(t, t, n, n, n, scalar, in, n, in, n, scalar, out, n);
    products.gemm(t, t, n, n, n, scalar, in, n, in, n, scalar, stream, n);
    products.gemm(t, t, n, n, n, scalar, in_stream, n, in, n, scalar, out, n);
    { view.template workspace<E>() } -> std::same_as<std::size_t>;
    products.use_workspace(memory);
    view.describe(fields);
};

/// Products that want to know of which unit they are: a tape then says where its run is. Suspended is
/// what waits for other ranks, until a unit is entered or left.
template <class P>
concept ObservesUnits = requires(P products, std::size_t unit, bool backward) {
    products.begin_run();
    products.enter_unit(unit, backward);
    products.leave_unit();
    products.suspend();
};
// clang-format on

}  // namespace zeropp
