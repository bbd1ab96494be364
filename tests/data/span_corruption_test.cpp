// SPDX-License-Identifier: Apache-2.0
/// \file Span corruption: nothing of the text is lost, and its statistics are T5's.
#include <cmath>
#include <cstdint>
#include <map>
#include <numeric>
#include <vector>

#include <zeropp/data/span_corruption.hpp>

#include "support/catch.hpp"
#include "support/temporary.hpp"

namespace zp = zeropp;
using Ids = std::vector<std::int32_t>;

namespace {

const zp::SpanCorruption corruption{.first_sentinel = 1099};

Ids text_of(std::size_t length) {
    Ids ids(length);
    std::iota(ids.begin(), ids.end(), 3);
    return ids;
}
bool is_sentinel(std::int32_t id) { return id <= 1099 && id > 999; }

}  // namespace

TEST_CASE("source and target together are the text, in any length") {
    Ids source, target;
    for (std::size_t length = 1; length <= 800; length += length < 40 ? 1 : 53) {
        const Ids text = text_of(length);
        corruption(text, 5, 2, length, source, target);
        INFO(length);
        REQUIRE(source.size() == corruption.source_length(length));
        const bool kept_end = !is_sentinel(source[source.size() - 2]);
        REQUIRE(target.size() + !kept_end == corruption.target_length(length));
        REQUIRE(source.back() == 1);
        REQUIRE(target.back() == 1);
        std::map<std::int32_t, Ids> spans;
        std::int32_t sentinel = 0, expected = 1099;
        for (const std::int32_t id : Ids(target.begin(), target.end() - 1)) {
            if (is_sentinel(id)) {
                REQUIRE(id == expected--);
                spans[sentinel = id];
            } else {
                spans[sentinel].push_back(id);
            }
        }
        if (kept_end) {  // the last sentinel stands for it
            REQUIRE(spans.at(sentinel).empty());
            spans.erase(sentinel);
        }
        Ids whole;
        expected = 1099;
        for (const std::int32_t id : Ids(source.begin(), source.end() - 1)) {
            if (!is_sentinel(id)) {
                whole.push_back(id);
                continue;
            }
            REQUIRE(id == expected--);
            REQUIRE(!spans.at(id).empty());
            whole.insert(whole.end(), spans[id].begin(), spans[id].end());
            spans.erase(id);
        }
        CHECK(whole == text);
        CHECK(spans.empty());
    }
}

TEST_CASE("how much is noise follows seqio's rounding") {
    // Lengths, noise tokens and spans by seqio's random_spans_noise_mask; halves go to even.
    CHECK(corruption.noise_tokens(2) == 1);
    CHECK(corruption.noise_tokens(10) == 2);
    CHECK(corruption.noise_tokens(30) == 4);
    CHECK(corruption.noise_tokens(100) == 15);
    CHECK(corruption.spans(100) == 5);
    CHECK(corruption.noise_tokens(568) == 85);
    CHECK(corruption.spans(568) == 28);
    // T5's own lengths: 568 tokens become 512 and 114, which does not count a kept end.
    CHECK(corruption.source_length(568) == 512);
    CHECK(corruption.target_length(568) == 114 + 1);
    CHECK(corruption.spans(5000) == 99);
    for (std::size_t length = 1; length < 3000; ++length) {
        CHECK(corruption.source_length(length) <= corruption.source_length(length + 1));
        CHECK(corruption.target_length(length) <= corruption.target_length(length + 1));
        CHECK(corruption.source_length(length) <= length + 1);
    }
}

TEST_CASE("every way to cut the spans is equally likely") {
    // 10 noise tokens in 3 spans: C(9,2) = 36 ways. A span has 1 token in 8 of them, 8 in one.
    const Ids text = text_of(66);
    REQUIRE(corruption.noise_tokens(66) == 10);
    REQUIRE(corruption.spans(66) == 3);
    constexpr int draws = 20'000;
    std::map<std::size_t, int> counts;
    std::vector<int> noise_at(66);
    Ids source, target;
    for (int draw = 0; draw < draws; ++draw) {
        corruption(text, 1, 0, static_cast<std::uint64_t>(draw), source, target);
        std::size_t length = 0;
        for (std::size_t i = 1; i < target.size(); ++i) {
            if (!is_sentinel(target[i]) && target[i] != 1) {
                ++noise_at[static_cast<std::size_t>(target[i] - 3)];
                ++length;
            } else {
                if (length > 0) ++counts[length];
                length = 0;
            }
        }
    }
    for (std::size_t length = 1; length <= 8; ++length) {
        const double share = static_cast<double>(9 - length) / 36;
        // Five standard deviations of 60,000 draws.
        const double margin = 5 * std::sqrt(share * (1 - share) / (3 * draws));
        CHECK(std::fabs(counts[length] / (3.0 * draws) - share) < margin);
    }
    // The first kept length is 0 in C(56,2) of C(57,3) ways, the last one too.
    const double edge = 3.0 / 57, margin = 5 * std::sqrt(edge / draws);
    CHECK(std::fabs(noise_at.front() / double{draws} - edge) < margin);
    CHECK(std::fabs(noise_at.back() / double{draws} - edge) < margin);
    for (std::size_t i = 8; i < 58; ++i)  // further in the share is near 15 %
        CHECK(std::fabs(noise_at[i] / double{draws} - 0.15) < 0.04);
}

TEST_CASE("the corruption is a function of seed, epoch and example") {
    const Ids text = text_of(200);
    Ids source, target, other_source, other_target;
    const auto differs = [&](std::uint64_t seed, std::uint64_t epoch, std::uint64_t ordinal) {
        corruption(text, seed, epoch, ordinal, other_source, other_target);
        return other_source != source;
    };
    corruption(text, 3, 4, 5, source, target);
    CHECK(!differs(3, 4, 5));
    CHECK(differs(2, 4, 5));
    CHECK(differs(3, 5, 5));
    CHECK(differs(3, 4, 6));
    CHECK(zp::testing::message_of([&] { corruption({}, 1, 0, 7, source, target); }) ==
          "zeropp: span corruption: example 8 has no tokens, expected a text of at least one");
}
