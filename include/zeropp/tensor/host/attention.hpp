// SPDX-License-Identifier: Apache-2.0
/// \file Host: attention forward and backward, one example and head at a time, a block of queries
/// at a time. Scores exist for one block only.
#pragma once

#include <algorithm>
#include <cstddef>

#include <zeropp/device/host.hpp>
#include <zeropp/device/products.hpp>
#include <zeropp/tensor/host/attention_block.hpp>
#include <zeropp/tensor/host/softmax.hpp>

namespace zeropp {

/// out [examples, queries, heads * width], rows[example, head, query] for backward.
template <Scalar E, class P>
void attention_forward(Host, P& products, const AttentionWork<E>& work,
                       const AttentionScratch<E>& scratch, lanes::SoftmaxRow<Wide<E>>* rows,
                       Strided<E> out) {
    using W = Wide<E>;
    const std::size_t stride = lanes::padded(work.keys);
    for (std::size_t b = 0; b < work.examples; ++b) {
        lanes::mask_row(scratch.mask, work.keys,
                        work.key_mask.empty() ? nullptr : work.key_mask.data() + b * work.keys);
        for (std::size_t h = 0; h < work.heads; ++h) {
            const std::size_t column = h * work.width, keys_at = b * work.key_rows;
            Strided<const W> k, v;
            vectorized([&]() ZEROPP_INLINE {
                k = lanes::widened<W, E>(
                    {work.k.data + keys_at * work.k.stride + column, work.k.stride}, work.keys,
                    work.width, scratch.k);
                v = lanes::widened<W, E>(
                    {work.v.data + keys_at * work.v.stride + column, work.v.stride}, work.keys,
                    work.width, scratch.v);
            });
            for (std::size_t first = 0; first < work.queries; first += work.block) {
                const detail::QueryBlock at = detail::query_block(work, b, h, first);
                const std::size_t row_at = b * work.queries + first;
                const Strided<E> to{out.data + row_at * out.stride + column, out.stride};
                Strided<const W> q;
                vectorized([&]() ZEROPP_INLINE {
                    q = lanes::widened<W, E>(
                        {work.q.data + row_at * work.q.stride + column, work.q.stride}, at.count,
                        work.width, scratch.q);
                });
                detail::block_scores(products, work, at, q, k, scratch.mask, scratch.weights);
                vectorized([&]() ZEROPP_INLINE {
                    const std::size_t used = lanes::padded(at.keys);
                    for (std::size_t row = 0; row < at.count; ++row) {
                        W* const weights = scratch.weights + row * stride;
                        rows[(b * work.heads + h) * work.queries + first + row] =
                            lanes::softmax(weights, used);
                        if (work.dropout.active()) {
                            lanes::weight_factors(detail::weights_row(work, at, row), h,
                                                  work.dropout, used, scratch.factors);
                            lanes::multiply(weights, scratch.factors, used);
                        }
                    }
                });
                if constexpr (std::same_as<E, W>) {
                    products.gemm(Transpose::no, Transpose::no, at.count, work.width, at.keys, 1.0f,
                                  scratch.weights, stride, v.data, v.stride, 0.0f, to.data,
                                  to.stride);
                } else {
                    products.gemm(Transpose::no, Transpose::no, at.count, work.width, at.keys, 1.0f,
                                  scratch.weights, stride, v.data, v.stride, 0.0f, scratch.out,
                                  work.width);
                    vectorized([&]() ZEROPP_INLINE {
                        lanes::narrow<W, E>(scratch.out, to, at.count, work.width, false);
                    });
                }
            }
        }
    }
}

/// Gradients of one attention: written, or added where told. `bias` is added to, by distance.
template <Scalar E>
struct AttentionGradients {
    Strided<E> dq, dk, dv;
    bool add_q = false, add_k = false, add_v = false;
    Wide<E>* bias = nullptr;
};

template <Scalar E, class P>
void attention_backward(Host, P& products, const AttentionWork<E>& work,
                        const AttentionScratch<E>& scratch, const lanes::SoftmaxRow<Wide<E>>* rows,
                        Strided<const E> dout, const AttentionGradients<E>& to) {
    using W = Wide<E>;
    constexpr bool converts = !std::same_as<E, W>;
    const std::size_t stride = lanes::padded(work.keys), width = work.width;
    for (std::size_t b = 0; b < work.examples; ++b) {
        lanes::mask_row(scratch.mask, work.keys,
                        work.key_mask.empty() ? nullptr : work.key_mask.data() + b * work.keys);
        for (std::size_t h = 0; h < work.heads; ++h) {
            const std::size_t column = h * width, keys_at = b * work.key_rows;
            const Strided<E> dk{to.dk.data + keys_at * to.dk.stride + column, to.dk.stride};
            const Strided<E> dv{to.dv.data + keys_at * to.dv.stride + column, to.dv.stride};
            Strided<const W> k, v;
            vectorized([&]() ZEROPP_INLINE {
                k = lanes::widened<W, E>(
                    {work.k.data + keys_at * work.k.stride + column, work.k.stride}, work.keys,
                    width, scratch.k);
                v = lanes::widened<W, E>(
                    {work.v.data + keys_at * work.v.stride + column, work.v.stride}, work.keys,
                    width, scratch.v);
            });
            // From the last block on: it sees every key, so its contributions to k and v cover
            // them.
            const std::size_t blocks = (work.queries + work.block - 1) / work.block;
            for (std::size_t left = blocks; left-- > 0;) {
                const std::size_t first = left * work.block;
                const bool later = left + 1 != blocks;
                const detail::QueryBlock at = detail::query_block(work, b, h, first);
                const std::size_t row_at = b * work.queries + first;
                const Strided<E> dq{to.dq.data + row_at * to.dq.stride + column, to.dq.stride};
                Strided<const W> q, d;
                vectorized([&]() ZEROPP_INLINE {
                    q = lanes::widened<W, E>(
                        {work.q.data + row_at * work.q.stride + column, work.q.stride}, at.count,
                        width, scratch.q);
                    d = lanes::widened<W, E>(
                        {dout.data + row_at * dout.stride + column, dout.stride}, at.count, width,
                        scratch.dout);
                });
                const std::size_t used = lanes::padded(at.keys);
                detail::block_scores(products, work, at, q, k, scratch.mask, scratch.weights);
                for (std::size_t row = 0; row < at.count; ++row)
                    std::fill(scratch.grads + row * stride + at.keys,
                              scratch.grads + row * stride + used, W{0});
                products.gemm(Transpose::no, Transpose::yes, at.count, at.keys, width, 1.0f, d.data,
                              d.stride, v.data, v.stride, 0.0f, scratch.grads, stride);
                vectorized([&]() ZEROPP_INLINE {
                    for (std::size_t row = 0; row < at.count; ++row) {
                        W* const weights = scratch.weights + row * stride;
                        W* const grads = scratch.grads + row * stride;
                        lanes::softmax_again(
                            weights, used, rows[(b * work.heads + h) * work.queries + first + row]);
                        if (work.dropout.active()) {
                            lanes::weight_factors(detail::weights_row(work, at, row), h,
                                                  work.dropout, used, scratch.factors);
                            lanes::multiply(grads, scratch.factors, used);
                            lanes::softmax_backward(weights, grads, used);
                            lanes::multiply(weights, scratch.factors, used);
                        } else {
                            lanes::softmax_backward(weights, grads, used);
                        }
                        if (to.bias != nullptr) {
                            W* __restrict const bias =
                                to.bias + h * work.bias_stride + (work.queries - 1 - first - row);
                            for (std::size_t i = 0; i < used; ++i) bias[i] += grads[i];
                        }
                    }
                });
                const auto product = [&](Transpose t, std::size_t m, std::size_t n, const W* a,
                                         Strided<const W> other, bool add, Strided<E> target,
                                         W* copy) {
                    if constexpr (converts)
                        products.gemm(t, Transpose::no, m, width, n, 1.0f, a, stride, other.data,
                                      other.stride, add ? 1.0f : 0.0f, copy, width);
                    else
                        products.gemm(t, Transpose::no, m, width, n, 1.0f, a, stride, other.data,
                                      other.stride, add ? 1.0f : 0.0f, target.data, target.stride);
                };
                product(Transpose::yes, at.keys, at.count, scratch.weights, d,
                        later || (!converts && to.add_v), dv, scratch.dv);
                product(Transpose::yes, at.keys, at.count, scratch.grads, q,
                        later || (!converts && to.add_k), dk, scratch.dk);
                product(Transpose::no, at.count, at.keys, scratch.grads, k, !converts && to.add_q,
                        dq, scratch.dq);
                if constexpr (converts)
                    vectorized([&]() ZEROPP_INLINE {
                        lanes::narrow<W, E>(scratch.dq, dq, at.count, width, to.add_q);
                    });
            }
            if constexpr (converts)
                vectorized([&]() ZEROPP_INLINE {
                    lanes::narrow<W, E>(scratch.dk, dk, work.keys, width, to.add_k);
                    lanes::narrow<W, E>(scratch.dv, dv, work.keys, width, to.add_v);
                });
        }
    }
}

}  // namespace zeropp
