// SPDX-License-Identifier: Apache-2.0
/// \file The one arithmetic of reductions, used by every communicator.
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>

#include <zeropp/core/precision.hpp>
#include <zeropp/device/instruction_set.hpp>

namespace zeropp {

/// One element of it, for up to `most` ranks whose elements can be read: what a GPU runs.
template <Element E, Element G>
struct ReduceElement {
    static constexpr int most = 8;

    const E* from[most];
    int ranks;
    float share;  ///< 1 / ranks
    G* out;

    ZEROPP_HD ZEROPP_INLINE void operator()(std::size_t i) const {
        float sum = 0;
        for (int r = 0; r < ranks; ++r)
            sum = __builtin_fmaf(static_cast<float>(from[r][i]), share, sum);
        out[i] = static_cast<G>(sum);
    }
};

/// out[i] = G(sum of sources[r][i] / W in fp32, in rank order, by fma). `source(r)` gives rank r's
/// elements; out may be one of them.
template <Element E, Element G, class Source>
void reduce_in_rank_order(int ranks, Source source, std::span<G> out) {
    constexpr std::size_t block = 512;
    const float share = 1.0f / static_cast<float>(ranks);
    for (std::size_t first = 0; first < out.size(); first += block) {
        const std::size_t count = std::min(block, out.size() - first);
        vectorized([&]() ZEROPP_INLINE {
            alignas(64) float sum[block];
            for (std::size_t i = 0; i < block; ++i) sum[i] = 0;
            for (int r = 0; r < ranks; ++r) {
                const E* const from = source(r) + first;
                if (count == block)
                    for (std::size_t i = 0; i < block; ++i)
                        sum[i] = __builtin_fmaf(static_cast<float>(from[i]), share, sum[i]);
                else
                    for (std::size_t i = 0; i < count; ++i)
                        sum[i] = __builtin_fmaf(static_cast<float>(from[i]), share, sum[i]);
            }
            G* const to = out.data() + first;
            if (count == block)
                for (std::size_t i = 0; i < block; ++i) to[i] = static_cast<G>(sum[i]);
            else
                for (std::size_t i = 0; i < count; ++i) to[i] = static_cast<G>(sum[i]);
        });
    }
}

}  // namespace zeropp
