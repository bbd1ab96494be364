// SPDX-License-Identifier: Apache-2.0
/// \file Plain loops that define matrix products, for any scalar.
#pragma once

#include <cmath>
#include <cstddef>
#include <span>

#include <zeropp/device/products.hpp>
#include <zeropp/tensor/scalar.hpp>

namespace zeropp {

/// What numeric Jacobians are taken with and other products are compared to.
struct ReferenceProducts {
    template <Scalar A, Scalar B, Scalar C>
    void gemm(Transpose transpose_a, Transpose transpose_b, std::size_t m, std::size_t n,
              std::size_t k, float alpha, const A* a, std::size_t lda, const B* b, std::size_t ldb,
              float beta, C* c, std::size_t ldc) const {
        using W = Wide<C>;
        const bool ta = transpose_a == Transpose::yes, tb = transpose_b == Transpose::yes;
        for (std::size_t row = 0; row < m; ++row)
            for (std::size_t column = 0; column < n; ++column) {
                W sum = 0;
                for (std::size_t i = 0; i < k; ++i) {
                    const auto left = static_cast<W>(ta ? a[i * lda + row] : a[row * lda + i]);
                    const auto right =
                        static_cast<W>(tb ? b[column * ldb + i] : b[i * ldb + column]);
                    sum = std::fma(left, right, sum);
                }
                C& out = c[row * ldc + column];
                sum *= static_cast<W>(alpha);
                if (beta != 0) sum = std::fma(static_cast<W>(beta), static_cast<W>(out), sum);
                out = static_cast<C>(sum);
            }
    }
    template <Scalar E>
    static constexpr std::size_t workspace() {
        return 0;
    }
    void use_workspace(std::span<float>) const {}
    void describe(Fingerprint&) const {}
};

}  // namespace zeropp
