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
    template <Scalar E>
    void gemm(Transpose transpose_a, Transpose transpose_b, std::size_t m, std::size_t n,
              std::size_t k, float alpha, const E* a, std::size_t lda, const E* b, std::size_t ldb,
              float beta, E* c, std::size_t ldc) const {
        const bool ta = transpose_a == Transpose::yes, tb = transpose_b == Transpose::yes;
        for (std::size_t row = 0; row < m; ++row)
            for (std::size_t column = 0; column < n; ++column) {
                Wide<E> sum = 0;
                for (std::size_t i = 0; i < k; ++i) {
                    const auto left =
                        static_cast<Wide<E>>(ta ? a[i * lda + row] : a[row * lda + i]);
                    const auto right =
                        static_cast<Wide<E>>(tb ? b[column * ldb + i] : b[i * ldb + column]);
                    sum = std::fma(left, right, sum);
                }
                E& out = c[row * ldc + column];
                sum *= static_cast<Wide<E>>(alpha);
                if (beta != 0)
                    sum = std::fma(static_cast<Wide<E>>(beta), static_cast<Wide<E>>(out), sum);
                out = static_cast<E>(sum);
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
