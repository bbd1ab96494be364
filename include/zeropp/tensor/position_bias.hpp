// SPDX-License-Identifier: Apache-2.0
/// \file T5's relative position bias: distances fall into buckets, a value a head and bucket.
/// Raffel et al., "Exploring the limits of transfer learning", JMLR 2020, section 2.1.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>

#include <zeropp/tensor/host/lanes.hpp>
#include <zeropp/tensor/host/rows.hpp>
#include <zeropp/tensor/tape.hpp>

namespace zeropp {

struct PositionBuckets {
    bool bidirectional = true;       ///< encoder; the decoder looks back only
    std::size_t count = 32;          ///< relative_attention_num_buckets
    std::size_t max_distance = 128;  ///< relative_attention_max_distance
};

/// Bucket of `distance` = key position - query position: a half of the buckets for small distances
/// one by one, the others logarithmic up to max_distance, as in Hugging Face's T5.
inline std::size_t bucket_of(std::ptrdiff_t distance, const PositionBuckets& buckets) {
    std::size_t count = buckets.count, first = 0;
    if (buckets.bidirectional) {
        count /= 2;
        if (distance > 0) first = count;
        distance = distance < 0 ? -distance : distance;
    } else {
        distance = distance < 0 ? -distance : 0;
    }
    const auto far = static_cast<std::size_t>(distance);
    const std::size_t exact = count / 2;
    if (far < exact) return first + far;
    const double ratio =
        std::log(static_cast<double>(far) / static_cast<double>(exact)) /
        std::log(static_cast<double>(buckets.max_distance) / static_cast<double>(exact));
    const auto step = static_cast<std::size_t>(ratio * static_cast<double>(count - exact));
    return first + std::min(exact + step, count - 1);
}

/// A bias of attention scores. It depends on key - query only, so it is kept by distance: row h
/// holds head h, element key - query + queries - 1 of it. Its gradient has the same layout and
/// gathers over examples and layers.
template <Scalar E>
struct PositionBias {
    struct Record {
        std::size_t heads = 0, queries = 0, keys = 0;
        std::size_t stride = 0;  ///< of a head's row: padded for reads past its end
        Wide<E>* values = nullptr;
        Wide<E>* gradient = nullptr;
        bool written = false;
    };
    Record* record = nullptr;
    explicit operator bool() const noexcept { return record != nullptr; }
};

/// table[bucket(distance), head] for every distance; `last` = queries - 1 + query_offset.
template <Scalar E>
void position_bias_forward(Host, const E* table, const typename PositionBias<E>::Record& bias,
                           const PositionBuckets& buckets, std::ptrdiff_t last) {
    std::fill_n(bias.values, bias.heads * bias.stride, Wide<E>{0});
    for (std::size_t i = 0; i + 1 < bias.queries + bias.keys; ++i) {
        const std::size_t bucket = bucket_of(static_cast<std::ptrdiff_t>(i) - last, buckets);
        for (std::size_t head = 0; head < bias.heads; ++head)
            bias.values[head * bias.stride + i] =
                static_cast<Wide<E>>(table[bucket * bias.heads + head]);
    }
}

/// Sums the gradient by bucket in `sums` [buckets, heads], then writes or adds it to the table's.
template <Scalar E>
void position_bias_backward(Host, const typename PositionBias<E>::Record& bias,
                            const PositionBuckets& buckets, std::ptrdiff_t last, Wide<E>* sums,
                            Gradient<E> dtable) {
    const std::size_t size = buckets.count * bias.heads;
    std::fill_n(sums, size, Wide<E>{0});
    for (std::size_t i = 0; i + 1 < bias.queries + bias.keys; ++i) {
        const std::size_t bucket = bucket_of(static_cast<std::ptrdiff_t>(i) - last, buckets);
        for (std::size_t head = 0; head < bias.heads; ++head)
            sums[bucket * bias.heads + head] += bias.gradient[head * bias.stride + i];
    }
    for (std::size_t i = 0; i < size; ++i)
        dtable.data[i] =
            static_cast<E>(dtable.add ? static_cast<Wide<E>>(dtable.data[i]) + sums[i] : sums[i]);
}

namespace detail {

template <Scalar E, Device D, class P>
struct PositionBiasNode : Tape<E, D, P>::Node {
    PositionBias<E> bias;
    ParameterRef table;
    PositionBuckets buckets;
    std::ptrdiff_t last;

    void run(Tape<E, D, P>& tape) {
        if (!bias.record->written) return;
        const Gradient<E> dtable = tape.contribute(table);
        const std::size_t mark = tape.arena().mark();
        auto* const sums = tape.template take<Wide<E>>(table.shape.size());
        if (dtable && !tape.is_measuring())
            position_bias_backward<E>(tape.device(), *bias.record, buckets, last, sums, dtable);
        tape.arena().release(mark);
    }
};

}  // namespace detail

/// bias(head, query, key) = table[bucket_of(key - (query + query_offset)), head], table [buckets,
/// heads]; given to `attention` of any number of layers.
template <Scalar E, Device D, class P>
PositionBias<E> relative_position_bias(Tape<E, D, P>& tape, const ParameterRef& table,
                                       std::size_t queries, std::size_t keys,
                                       const PositionBuckets& buckets,
                                       std::size_t query_offset = 0) {
    require(table.shape.rank() == 2 && table.shape[0] == buckets.count, Errc::shape,
            "relative_position_bias: the table has shape ", table.shape, ", expected [",
            buckets.count, ", heads]");
    typename PositionBias<E>::Record record;
    record.heads = table.shape[1];
    record.queries = queries;
    record.keys = keys;
    record.stride = lanes::padded(queries + keys + lanes::lane_count);
    record.values = tape.template take<Wide<E>>(record.heads * record.stride);
    if (tape.records()) record.gradient = tape.template take<Wide<E>>(record.heads * record.stride);
    const PositionBias<E> bias{tape.store().make(record)};
    const auto last = static_cast<std::ptrdiff_t>(queries - 1 + query_offset);
    if (!tape.is_measuring())
        position_bias_forward<E>(tape.device(), tape.values(table), record, buckets, last);
    if (tape.records())
        tape.record(detail::PositionBiasNode<E, D, P>{{}, bias, table, buckets, last});
    return bias;
}

}  // namespace zeropp
