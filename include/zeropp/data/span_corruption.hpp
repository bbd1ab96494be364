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

/// How many tokens are noise, and in how many spans, is as in seqio's random_spans_noise_mask.
/// There the text begins with a kept span and ends with a noise span, so that of a text of one span
/// only the end is ever asked for; here all masks with these numbers are equally likely.
struct SpanCorruption {
    std::int32_t first_sentinel = 0;  ///< id of `<extra_id_0>`; `<extra_id_k>` is k less
    std::int32_t end = 1;             ///< `</s>`
    float noise_density = 0.15f;
    float mean_span_length = 3;
    std::size_t most_spans = 99;  ///< one less than there are sentinels

    std::size_t noise_tokens(std::size_t length) const {
        if (length < 2) return 0;
        const float wanted = std::nearbyint(static_cast<float>(length) * noise_density);
        return std::clamp(static_cast<std::size_t>(wanted), std::size_t{1}, length - 1);
    }
    std::size_t spans(std::size_t length) const {
        const std::size_t noise = noise_tokens(length);
        const auto wanted =
            static_cast<std::size_t>(std::nearbyint(static_cast<float>(noise) / mean_span_length));
        return noise == 0 ? 0
                          : std::min({std::max(wanted, std::size_t{1}), most_spans, noise,
                                      length - noise + 1});
    }
    /// Tokens of the corrupted text, `</s>` included.
    std::size_t source_length(std::size_t length) const {
        return length - noise_tokens(length) + spans(length) + 1;
    }
    /// Of the answer, at most: one less if noise ends the text. Never less for a longer text.
    std::size_t target_length(std::size_t length) const {
        return noise_tokens(length) + spans(length) + 2;
    }

    /// `tokens`, without `</s>`, become `source`: kept, sentinel 0, kept, sentinel 1, kept, `</s>`;
    /// and `target`: sentinel 0, noise, sentinel 1, noise, sentinel 2, `</s>`, where the last
    /// sentinel stands for the kept end of the text, if it has one. A function of the arguments.
    void operator()(std::span<const std::int32_t> tokens, std::uint64_t seed, std::uint64_t epoch,
                    std::uint64_t ordinal, std::vector<std::int32_t>& source,
                    std::vector<std::int32_t>& target) const {
        require(!tokens.empty(), Errc::config, "span corruption: example ", ordinal + 1,
                " has no tokens, expected a text of at least one");
        source.clear();
        target.clear();
        const std::size_t noise = noise_tokens(tokens.size()), count = spans(tokens.size());
        Random random{seed, corruption_streams | epoch << 40 | ordinal};
        // The first and the last kept length may be 0.
        std::vector<std::size_t> kept = segments(tokens.size() - noise + 2, count + 1, random);
        --kept.front();
        --kept.back();
        const std::vector<std::size_t> lost = segments(noise, count, random);
        std::size_t at = 0;
        const auto move = [&](std::size_t length, std::vector<std::int32_t>& to) {
            const auto part = tokens.subspan(at, length);
            to.insert(to.end(), part.begin(), part.end());
            at += length;
        };
        std::int32_t sentinel = first_sentinel;
        for (std::size_t k = 0; k < count; ++k, --sentinel) {
            move(kept[k], source);
            source.push_back(sentinel);
            target.push_back(sentinel);
            move(lost[k], target);
        }
        if (at < tokens.size()) target.push_back(sentinel);
        move(tokens.size() - at, source);
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
        if (count == 0) return {};
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
