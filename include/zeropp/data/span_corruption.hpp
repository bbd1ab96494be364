// SPDX-License-Identifier: Apache-2.0
/// \file T5's pre-training objective: spans of the text are replaced by sentinels and asked for.
/// Raffel et al., "Exploring the limits of transfer learning", JMLR 2020, section 3.1.4.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <zeropp/core/error.hpp>
#include <zeropp/core/rng.hpp>

namespace zeropp {

/// The noise mask is that of seqio's random_spans_noise_mask: kept and noise spans take turns, a
/// kept one first; how often each occurs and the sums of their lengths are fixed by the length of
/// the text, their single lengths are uniform among those that add up.
struct SpanCorruption {
    std::int32_t first_sentinel = 0;  ///< id of `<extra_id_0>`; `<extra_id_k>` is k less
    std::int32_t end = 1;             ///< `</s>`
    float noise_density = 0.15f;
    float mean_span_length = 3;
    std::size_t most_spans = 100;  ///< as many sentinels as there are

    std::size_t noise_tokens(std::size_t length) const {
        if (length < 2) return 0;
        const float wanted = std::nearbyint(static_cast<float>(length) * noise_density);
        return std::clamp(static_cast<std::size_t>(wanted), std::size_t{1}, length - 1);
    }
    std::size_t spans(std::size_t length) const {
        const std::size_t noise = noise_tokens(length);
        const auto wanted =
            static_cast<std::size_t>(std::nearbyint(static_cast<float>(noise) / mean_span_length));
        return std::min({std::max(wanted, std::size_t{1}), most_spans,
                         std::max(noise, std::size_t{1}),
                         std::max(length - noise, std::size_t{1})});
    }
    /// Tokens of the corrupted text and of the answer, `</s>` included; never less for more.
    std::size_t source_length(std::size_t length) const {
        return length - noise_tokens(length) + (length < 2 ? 0 : spans(length)) + 1;
    }
    std::size_t target_length(std::size_t length) const {
        return noise_tokens(length) + spans(length) + 1;
    }

    /// `tokens`, without `</s>`, become `source`: kept, sentinel 0, kept, sentinel 1 ... `</s>`;
    /// and `target`: sentinel 0, noise, sentinel 1, noise ... `</s>`. A function of the arguments
    /// only. A single token is kept and the answer is a sentinel, as in seqio.
    void operator()(std::span<const std::int32_t> tokens, std::uint64_t seed, std::uint64_t epoch,
                    std::uint64_t ordinal, std::vector<std::int32_t>& source,
                    std::vector<std::int32_t>& target) const {
        require(!tokens.empty(), Errc::config, "span corruption: example ", ordinal,
                " has no tokens, expected at least one");
        source.clear();
        target.clear();
        const std::size_t noise = noise_tokens(tokens.size());
        if (noise == 0) {
            source.assign({tokens[0], end});
            target.assign({first_sentinel, end});
            return;
        }
        const std::size_t count = spans(tokens.size());
        Random random{seed, corruption_streams | epoch << 40 | ordinal};
        const std::vector<std::size_t> noise_lengths = segments(noise, count, random);
        const std::vector<std::size_t> kept_lengths =
            segments(tokens.size() - noise, count, random);
        std::size_t at = 0;
        const auto move = [&](std::size_t length, std::vector<std::int32_t>& to) {
            const auto part = tokens.subspan(at, length);
            to.insert(to.end(), part.begin(), part.end());
            at += length;
        };
        for (std::size_t k = 0; k < count; ++k) {
            const std::int32_t sentinel = first_sentinel - static_cast<std::int32_t>(k);
            move(kept_lengths[k], source);
            source.push_back(sentinel);
            target.push_back(sentinel);
            move(noise_lengths[k], target);
        }
        source.push_back(end);
        target.push_back(end);
    }

private:
    /// Apart from the streams of a sampler with the same seed.
    static constexpr std::uint64_t corruption_streams = std::uint64_t{1} << 63;

    /// `total` cut into `count` positive lengths, every way equally likely: of the `total - 1`
    /// places to cut at, each is taken with the share that is still to be taken of those left
    /// (Knuth, TAOCP 3.4.2, algorithm S).
    static std::vector<std::size_t> segments(std::size_t total, std::size_t count, Random& random) {
        std::vector<std::size_t> lengths;
        std::size_t cuts = count - 1, length = 1;
        for (std::size_t places = total - 1; places > 0; --places) {
            if (random.below(static_cast<std::uint32_t>(places)) < cuts) {
                --cuts;
                lengths.push_back(length);
                length = 0;
            }
            ++length;
        }
        lengths.push_back(length);
        return lengths;
    }
};

}  // namespace zeropp
