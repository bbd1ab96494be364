// SPDX-License-Identifier: Apache-2.0
/// \file `OneDnn`: matrix products of the host by oneDNN. Component `onednn`.
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>

#include <dnnl.h>

#include <zeropp/core/error.hpp>
#include <zeropp/core/fingerprint.hpp>
#include <zeropp/core/precision.hpp>
#include <zeropp/device/instruction_set.hpp>
#include <zeropp/device/products.hpp>
#include <zeropp/device/widen.hpp>

static_assert(DNNL_CPU_RUNTIME == DNNL_RUNTIME_OMP || DNNL_CPU_RUNTIME == DNNL_RUNTIME_SEQ,
              "zeropp: device/onednn.hpp: a oneDNN with another threading, expected OpenMP's (as "
              "Debian builds it) or none: ranks choose their threads through it");

/// oneDNN's product of bf16 matrices with fp32 sums: exported by its CPU library, declared by none
/// of its headers. Row-major, as dnnl_sgemm. Null where a library is built without it.
extern "C" __attribute__((weak)) dnnl_status_t dnnl_gemm_bf16bf16f32(
    char transa, char transb, dnnl_dim_t m, dnnl_dim_t n, dnnl_dim_t k, float alpha,
    const std::uint16_t* a, dnnl_dim_t lda, const std::uint16_t* b, dnnl_dim_t ldb, float beta,
    float* c, dnnl_dim_t ldc);

#if DNNL_CPU_RUNTIME == DNNL_RUNTIME_OMP
extern "C" {  // of the OpenMP library that oneDNN links; <omp.h> is not there for every compiler
int omp_get_max_threads();
void omp_set_num_threads(int);
}
#endif

namespace zeropp {

namespace detail {

/// The number of threads of this thread's parallel regions, for as long as it lives. (In OpenMP
/// the number belongs to the calling thread, so ranks that are threads do not disturb each other,
/// and the user's own value is put back.)
class ThreadCount {
public:
#if DNNL_CPU_RUNTIME == DNNL_RUNTIME_OMP
    explicit ThreadCount(int count) : before_{omp_get_max_threads()} { omp_set_num_threads(count); }
    ~ThreadCount() { omp_set_num_threads(before_); }
#else
    explicit ThreadCount(int) {}
#endif
    ThreadCount(const ThreadCount&) = delete;
    ThreadCount& operator=(const ThreadCount&) = delete;

private:
    [[maybe_unused]] int before_ = 1;
};

/// oneDNN multiplies bf16 with the processor's own instructions (AVX512_BF16, AMX), within
/// ONEDNN_MAX_CPU_ISA.
inline bool multiplies_bf16() {
    constexpr auto wanted = static_cast<unsigned>(dnnl_cpu_isa_avx512_core_bf16);
    return dnnl_gemm_bf16bf16f32 != nullptr &&
           (static_cast<unsigned>(dnnl_get_effective_cpu_isa()) & wanted) == wanted;
}

}  // namespace detail

/// Products of one rank: one thread by default. fp32 by oneDNN's sgemm. bf16 by its product with
/// sums in fp32 where the processor multiplies bf16; elsewhere, and in fp16, tiles are converted to
/// fp32 and go through sgemm. Either way C is rounded once. Not to be shared by threads.
class OneDnn {
public:
    OneDnn() = default;
    explicit OneDnn(int threads) : threads_{threads} {
        require(threads >= 1, Errc::config, "OneDnn: ", threads, " threads, expected at least 1");
    }

    void gemm(Transpose ta, Transpose tb, std::size_t m, std::size_t n, std::size_t k, float alpha,
              const float* a, std::size_t lda, const float* b, std::size_t ldb, float beta,
              float* c, std::size_t ldc) const {
        const detail::ThreadCount threads{threads_};
        multiply(dnnl_sgemm, ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
    }

    /// Any of the three in 16 bits.
    template <Element A, Element B, Element C>
    void gemm(Transpose ta, Transpose tb, std::size_t m, std::size_t n, std::size_t k, float alpha,
              const A* a, std::size_t lda, const B* b, std::size_t ldb, float beta, C* c,
              std::size_t ldc) const {
        require(memory_.size() >= workspace<Bf16>(), Errc::config, "OneDnn: a workspace of ",
                memory_.size(), " elements, expected ", workspace<Bf16>(), "; call use_workspace");
        const detail::ThreadCount threads{threads_};
        if constexpr (std::same_as<A, Bf16> && std::same_as<B, Bf16> && std::same_as<C, Bf16>)
            if (native_) return native(ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
        tiled(ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
    }

    /// Of fp32, for the tiles of 16-bit products.
    template <class E>
    static constexpr std::size_t workspace() {
        return std::same_as<E, float> ? 0 : 2 * tile * depth + tile * tile;
    }
    void use_workspace(std::span<float> memory) noexcept { memory_ = memory; }

    bool bf16_products_are_native() const noexcept { return native_; }
    int threads() const noexcept { return threads_; }
    /// What decides the bits of a product beside its arguments.
    void describe(Fingerprint& fields) const {
        fields.add("oneDNN's instruction set (dnnl_cpu_isa_t, capped by ONEDNN_MAX_CPU_ISA)",
                   static_cast<int>(dnnl_get_effective_cpu_isa()));
    }

private:
    static constexpr std::size_t tile = 256, depth = 1024;

    template <class Product, class E>
    static void multiply(Product product, Transpose ta, Transpose tb, std::size_t m, std::size_t n,
                         std::size_t k, float alpha, const E* a, std::size_t lda, const E* b,
                         std::size_t ldb, float beta, float* c, std::size_t ldc) {
        if (m == 0 || n == 0) return;
        const auto size = [](std::size_t value) { return static_cast<dnnl_dim_t>(value); };
        const dnnl_status_t status =
            product(ta == Transpose::yes ? 'T' : 'N', tb == Transpose::yes ? 'T' : 'N', size(m),
                    size(n), size(k), alpha, a, size(lda), b, size(ldb), beta, c, size(ldc));
        require(status == dnnl_success, Errc::device, "OneDnn: a product of ", m, " x ", n, " x ",
                k, " returns status ", static_cast<int>(status), ", expected success");
    }

    template <class E>
    static void narrow(const float* from, std::size_t rows, std::size_t columns, E* to,
                       std::size_t stride) {
        vectorized([&]() ZEROPP_INLINE {
            for (std::size_t row = 0; row < rows; ++row) {
                const float* __restrict const in = from + row * columns;
                E* __restrict const out = to + row * stride;
                for (std::size_t i = 0; i < columns; ++i) out[i] = E{in[i]};
            }
        });
    }

    /// C in blocks that fill the workspace: wide ones, so that B is packed few times.
    void native(Transpose ta, Transpose tb, std::size_t m, std::size_t n, std::size_t k,
                float alpha, const Bf16* a, std::size_t lda, const Bf16* b, std::size_t ldb,
                float beta, Bf16* c, std::size_t ldc) const {
        constexpr std::size_t widest = 2048, least_rows = workspace<Bf16>() / widest;
        const std::size_t columns_most = std::min(n, widest);
        const std::size_t rows_most =
            columns_most == 0 ? m : std::max(least_rows, workspace<Bf16>() / columns_most);
        float* const out = memory_.data();
        for (std::size_t j = 0; j < n; j += widest) {
            const std::size_t columns = std::min(widest, n - j);
            for (std::size_t i = 0; i < m; i += rows_most) {
                const std::size_t rows = std::min(rows_most, m - i);
                if (beta != 0) widen_rows(c + i * ldc + j, ldc, rows, columns, out);
                multiply(dnnl_gemm_bf16bf16f32, ta, tb, rows, columns, k, alpha,
                         &a[ta == Transpose::yes ? i : i * lda].bits, lda,
                         &b[tb == Transpose::yes ? j * ldb : j].bits, ldb, beta, out, columns);
                narrow(out, rows, columns, c + i * ldc + j, ldc);
            }
        }
    }

    /// What sgemm reads of a stored matrix.
    struct Rows {
        const float* data;
        std::size_t stride;
    };
    /// A part of a stored matrix in fp32: itself, or its copy, made anew unless it was `kept`.
    template <class E>
    static Rows in_fp32(const E* from, std::size_t stride, std::size_t rows, std::size_t columns,
                        float* copy, bool kept) {
        if constexpr (std::same_as<E, float>) {
            return {from, stride};
        } else {
            if (!kept) widen_rows(from, stride, rows, columns, copy);
            return {copy, columns};
        }
    }

    template <class A, class B, class C>
    void tiled(Transpose ta, Transpose tb, std::size_t m, std::size_t n, std::size_t k, float alpha,
               const A* a, std::size_t lda, const B* b, std::size_t ldb, float beta, C* c,
               std::size_t ldc) const {
        constexpr bool rounds = !std::same_as<C, float>;
        float* const left = memory_.data();
        float* const right = left + tile * depth;
        const bool a_down = ta == Transpose::yes, b_down = tb == Transpose::yes;
        for (std::size_t j = 0; j < n; j += tile) {
            const std::size_t columns = std::min(tile, n - j);
            for (std::size_t i = 0; i < m; i += tile) {
                const std::size_t rows = std::min(tile, m - i);
                float* out = right + tile * depth;
                std::size_t stride = columns;
                if constexpr (rounds) {
                    if (beta != 0) widen_rows(c + i * ldc + j, ldc, rows, columns, out);
                } else {
                    out = c + i * ldc + j;
                    stride = ldc;
                }
                for (std::size_t l = 0; l < k; l += depth) {
                    const std::size_t inner = std::min(depth, k - l);
                    const bool kept = i != 0 && k <= depth;  // by the row of tiles before
                    const Rows in_a = a_down
                                          ? in_fp32(a + l * lda + i, lda, inner, rows, left, false)
                                          : in_fp32(a + i * lda + l, lda, rows, inner, left, false);
                    const Rows in_b =
                        b_down ? in_fp32(b + j * ldb + l, ldb, columns, inner, right, kept)
                               : in_fp32(b + l * ldb + j, ldb, inner, columns, right, kept);
                    multiply(dnnl_sgemm, ta, tb, rows, columns, inner, alpha, in_a.data,
                             in_a.stride, in_b.data, in_b.stride, l == 0 ? beta : 1.0f, out,
                             stride);
                }
                if constexpr (rounds) narrow(out, rows, columns, c + i * ldc + j, ldc);
            }
        }
    }

    int threads_ = 1;
    bool native_ = detail::multiplies_bf16();
    std::span<float> memory_;
};
static_assert(Products<OneDnn, float> && Products<OneDnn, Bf16> && Products<OneDnn, Half>);

}  // namespace zeropp
