// SPDX-License-Identifier: Apache-2.0
/// \file Host: what forward and backward of attention share: extents, scratch memory, and the
/// scores of one block of queries.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>

#include <zeropp/device/arena.hpp>
#include <zeropp/device/host.hpp>
#include <zeropp/device/products.hpp>
#include <zeropp/tensor/gradient.hpp>
#include <zeropp/tensor/host/softmax.hpp>

namespace zeropp {

/// Extents and inputs of one attention; `width` channels a head.
template <Scalar E>
struct AttentionWork {
    std::size_t examples = 0, queries = 0, keys = 0, heads = 0, width = 0;
    std::size_t key_rows = 0;  ///< rows of k and v between examples
    bool causal = false;
    std::span<const std::uint8_t> key_mask;  ///< examples x keys, or empty
    Strided<const E> q, k, v;
    const Wide<E>* bias = nullptr;  ///< by distance, as `PositionBias`
    std::size_t bias_stride = 0;
    Dropout dropout;
    std::uint64_t seed = 0;
    std::span<const std::uint64_t> ordinals;

    static constexpr std::size_t block = 64;  ///< queries at a time
    std::size_t tile() const { return std::min(block, queries) * lanes::padded(keys); }
};

namespace lanes {

/// A block of rows in `W`: the rows themselves if they are stored so, else a converted copy.
template <class W, Scalar E>
ZEROPP_INLINE inline Strided<const W> widened(Strided<const E> rows, std::size_t count,
                                              std::size_t width, W* copy) {
    if constexpr (std::same_as<E, W>) {
        return rows;
    } else {
        for (std::size_t row = 0; row < count; ++row) {
            const E* __restrict const from = rows.data + row * rows.stride;
            W* __restrict const to = copy + row * width;
            for (std::size_t c = 0; c < width; ++c) to[c] = static_cast<W>(from[c]);
        }
        return {copy, width};
    }
}

template <class W, Scalar E>
ZEROPP_INLINE inline void narrow(const W* copy, Strided<E> rows, std::size_t count,
                                 std::size_t width, bool add) {
    for (std::size_t row = 0; row < count; ++row) {
        const W* __restrict const from = copy + row * width;
        E* __restrict const to = rows.data + row * rows.stride;
        for (std::size_t c = 0; c < width; ++c)
            to[c] = static_cast<E>(add ? static_cast<W>(to[c]) + from[c] : from[c]);
    }
}

/// 0 where a key may be looked at, -infinity elsewhere and in the padding.
template <class W>
ZEROPP_INLINE inline void mask_row(W* mask, std::size_t keys, const std::uint8_t* visible) {
    constexpr W hidden = -std::numeric_limits<W>::infinity();
    for (std::size_t i = 0; i < keys; ++i)
        mask[i] = visible == nullptr || visible[i] != 0 ? W{0} : hidden;
    for (std::size_t i = keys; i < padded(keys); ++i) mask[i] = hidden;
}

}  // namespace lanes

/// Memory of both directions, taken from the arena by the operation.
template <Scalar E>
struct AttentionScratch {
    using W = Wide<E>;
    W *mask, *factors, *weights, *grads = nullptr;
    W *q = nullptr, *k = nullptr, *v = nullptr, *out = nullptr;      // converted rows of a head
    W *dq = nullptr, *dk = nullptr, *dv = nullptr, *dout = nullptr;  // and their gradients

    template <class A>
    AttentionScratch(A& arena, const AttentionWork<E>& work, bool backward) {
        const auto take = [&](std::size_t count) { return arena.template take<W>(count).data(); };
        mask = take(lanes::padded(work.keys));
        factors = take(lanes::dropout_padded(work.keys));
        weights = take(work.tile());
        if (backward) grads = take(work.tile());
        if constexpr (!std::same_as<E, W>) {
            const std::size_t rows = std::min(work.block, work.queries) * work.width;
            q = take(rows);
            k = take(work.keys * work.width);
            v = take(work.keys * work.width);
            if (!backward) {
                out = take(rows);
            } else {
                dout = take(rows);
                dq = take(rows);
                dk = take(work.keys * work.width);
                dv = take(work.keys * work.width);
            }
        }
    }
};

namespace detail {

/// One block of queries of one head.
struct QueryBlock {
    std::size_t example, head, first, count;
    std::size_t keys;  ///< that the last query of the block sees, and so the block's products need
};

/// Scores of a block, complete: product, bias, masks.
template <Scalar E, class P>
void block_scores(P& products, const AttentionWork<E>& work, const QueryBlock& at,
                  Strided<const Wide<E>> q, Strided<const Wide<E>> k, const Wide<E>* mask,
                  Wide<E>* tile) {
    const std::size_t stride = lanes::padded(work.keys), used = lanes::padded(at.keys);
    for (std::size_t row = 0; row < at.count; ++row)
        std::fill(tile + row * stride + at.keys, tile + row * stride + used, Wide<E>{0});
    products.gemm(Transpose::no, Transpose::yes, at.count, at.keys, work.width, 1.0f, q.data,
                  q.stride, k.data, k.stride, 0.0f, tile, stride);
    vectorized([&]() ZEROPP_INLINE {
        for (std::size_t row = 0; row < at.count; ++row) {
            const std::size_t query = at.first + row;
            const std::size_t seen = work.causal ? query + 1 + work.keys - work.queries : work.keys;
            const Wide<E>* const bias =
                work.bias == nullptr
                    ? nullptr
                    : work.bias + at.head * work.bias_stride + (work.queries - 1 - query);
            lanes::complete_scores(tile + row * stride, used, seen, bias, mask);
        }
    });
}

template <Scalar E>
DropoutRow weights_row(const AttentionWork<E>& work, const QueryBlock& at, std::size_t row) {
    return {work.seed, work.dropout.operation, work.ordinals[at.example], at.first + row};
}

template <Scalar E>
QueryBlock query_block(const AttentionWork<E>& work, std::size_t example, std::size_t head,
                       std::size_t first) {
    const std::size_t count = std::min(work.block, work.queries - first);
    return {example, head, first, count,
            work.causal ? first + count + work.keys - work.queries : work.keys};
}

}  // namespace detail

}  // namespace zeropp
