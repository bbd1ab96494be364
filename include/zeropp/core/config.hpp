// SPDX-License-Identifier: Apache-2.0
/// \file The version, and the only header that looks at the compiler.
#pragma once

#define ZEROPP_VERSION_MAJOR 0
#define ZEROPP_VERSION_MINOR 1
#define ZEROPP_VERSION_PATCH 0

#if defined(__FAST_MATH__)
#error "zeropp: -ffast-math changes the order of sums and hides NaN; compile without it"
#endif

/// Element-wise bodies carry this mark: the same function serves the host and a GPU.
#if defined(__CUDACC__)
#define ZEROPP_HD __host__ __device__
#else
#define ZEROPP_HD
#endif

/// Functions and lambdas that must be inlined to be compiled once per instruction set.
#define ZEROPP_INLINE __attribute__((always_inline))
