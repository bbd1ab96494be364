// SPDX-License-Identifier: Apache-2.0
/// \file Padding to the longest of a batch.
#include <cstdint>
#include <vector>

#include <zeropp/data/batch.hpp>

#include "support/catch.hpp"
#include "support/temporary.hpp"

namespace zp = zeropp;

TEST_CASE("a batch pads sources with pad and labels with ignored to the longest of the batch") {
    const std::vector<std::int32_t> a{5, 6, 1}, b{7, 1}, one{1};
    zp::Seq2SeqBatch batch = zp::collate(std::vector<zp::Seq2SeqExample>{{a, b, 8}, {b, one, 3}});
    CHECK(batch.size == 2);
    CHECK(batch.source_length == 3);
    CHECK(batch.target_length == 2);
    CHECK(batch.source_ids == std::vector<std::int32_t>{5, 6, 1, 7, 1, 0});
    CHECK(batch.source_mask == std::vector<std::uint8_t>{1, 1, 1, 1, 1, 0});
    CHECK(batch.labels == std::vector<std::int32_t>{7, 1, 1, -100});
    CHECK(batch.ordinals == std::vector<std::uint64_t>{8, 3});

    SECTION("memory of an earlier batch leaves no trace") {
        zp::collate(std::vector<zp::Seq2SeqExample>{{one, one, 0}}, batch);
        CHECK(batch.source_ids == std::vector<std::int32_t>{1});
        CHECK(batch.source_mask == std::vector<std::uint8_t>{1});
        CHECK(batch.labels == std::vector<std::int32_t>{1});
        CHECK(batch.ordinals == std::vector<std::uint64_t>{0});
    }
}

TEST_CASE("an example without tokens is refused") {
    const std::vector<std::int32_t> one{1}, none;
    CHECK(
        zp::testing::message_of([&] {
            zp::collate(std::vector<zp::Seq2SeqExample>{{one, none, 4}});
        }) ==
        "zeropp: collate: example 4 has 1 source and 0 target tokens, expected at least one each");
}
