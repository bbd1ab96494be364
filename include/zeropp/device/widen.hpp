// SPDX-License-Identifier: Apache-2.0
/// \file Rows of 16-bit elements to fp32: fp16 by the processor's own instruction, which comes
/// with AVX2, to the same bits as without.
#pragma once

#include <concepts>
#include <cstddef>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include <zeropp/core/precision.hpp>
#include <zeropp/device/instruction_set.hpp>

namespace zeropp {

#if defined(__x86_64__)
namespace detail {

/// Of rows that stand `stride` apart; results one after another.
__attribute__((target("avx2,f16c"))) inline void widen_by_f16c(const Half* from, std::size_t stride,
                                                               std::size_t rows,
                                                               std::size_t columns, float* to) {
    for (std::size_t row = 0; row < rows; ++row) {
        const Half* const in = from + row * stride;
        float* const out = to + row * columns;
        std::size_t i = 0;
        for (; i + 8 <= columns; i += 8)
            _mm256_storeu_ps(
                out + i,
                _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(in + i))));
        for (; i < columns; ++i) out[i] = static_cast<float>(in[i]);
    }
}

}  // namespace detail
#endif

/// rows x columns of a stored matrix to fp32, one after another.
template <Element E>
void widen_rows(const E* from, std::size_t stride, std::size_t rows, std::size_t columns,
                float* to) {
#if defined(__x86_64__)
    if constexpr (std::same_as<E, Half>)
        if (instruction_set() != InstructionSet::generic)
            return detail::widen_by_f16c(from, stride, rows, columns, to);
#endif
    vectorized([&]() ZEROPP_INLINE {
        for (std::size_t row = 0; row < rows; ++row) {
            const E* __restrict const in = from + row * stride;
            float* __restrict const out = to + row * columns;
            for (std::size_t i = 0; i < columns; ++i) out[i] = static_cast<float>(in[i]);
        }
    });
}

}  // namespace zeropp
