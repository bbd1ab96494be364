// SPDX-License-Identifier: Apache-2.0
/// \file Data sets in memory and the batches made of them ahead.
#include <cstdint>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <zeropp/data/examples.hpp>
#include <zeropp/data/loader.hpp>

#include "support/catch.hpp"
#include "support/temporary.hpp"

namespace zp = zeropp;
using Ids = std::vector<std::int32_t>;
using zp::testing::message_of;

namespace {

/// A letter is a token; `</s>` is 1.
struct Letters {
    Ids encode(std::string_view text, std::size_t longest) const {
        if (text == "bad") throw std::runtime_error{"no such letters"};
        Ids ids;
        for (const char letter : text.substr(0, longest - 1)) ids.push_back(letter);
        ids.push_back(1);
        return ids;
    }
};

zp::Seq2SeqDataset numbered(std::size_t count) {
    zp::Seq2SeqDataset data;
    for (std::size_t i = 0; i < count; ++i) {
        Ids source(i % 7 + 3, static_cast<std::int32_t>(i + 10));
        source.push_back(1);
        data.add(source, Ids{static_cast<std::int32_t>(i + 10), 1});
    }
    return data;
}

}  // namespace

TEST_CASE("a data set holds what the tokenizer makes of a file, whatever the number of threads") {
    const zp::testing::TemporaryFolder folder;
    std::string lines;
    for (int i = 0; i < 25; ++i)
        lines += "{\"article\": \"text " + std::to_string(i) + "\", \"highlights\": \"" +
                 std::string(static_cast<std::size_t>(i), 'x') + "\"}\n";
    const auto path = folder.write("a.jsonl", lines);
    const zp::Seq2SeqFormat format{
        .columns = {}, .source_prefix = "p: ", .max_source_length = 9, .max_target_length = 4};
    const std::size_t threads = GENERATE(1u, 2u, 3u, 40u);
    const zp::Seq2SeqDataset data = zp::read_dataset(path, Letters{}, format, threads);
    REQUIRE(data.size() == 25);
    for (std::size_t i = 0; i < 25; ++i) {
        const auto [source, target, ordinal] = data[i];
        CHECK(ordinal == i);
        CHECK(Ids(source.begin(), source.end()) ==
              Letters{}.encode("p: text " + std::to_string(i), 9));
        CHECK(target.size() == std::min<std::size_t>(i, 3) + 1);
    }
    std::vector<zp::TextExample> bad(10, {"a", "b"});
    bad[9].source = "bad";
    CHECK_THROWS_WITH(zp::tokenize(bad, Letters{}, {}, threads), "no such letters");
}

TEST_CASE("ordinals by length are in the order of source in eights, then target") {
    zp::Seq2SeqDataset data;
    for (const auto& [source, target] : {std::pair{20, 1}, {7, 9}, {5, 2}, {17, 3}})
        data.add(Ids(static_cast<std::size_t>(source)), Ids(static_cast<std::size_t>(target)));
    CHECK(data.by_length() == std::vector<std::uint64_t>{2, 1, 0, 3});
}

TEST_CASE("a loader gives the batches of its rank in order") {
    const zp::Seq2SeqDataset data = numbered(23);
    const zp::BatchShape shape{.micro = 2, .accumulation = 2, .ranks = 2};
    for (const std::size_t rank : {0u, 1u}) {
        zp::Sampler sampler{data.size(), shape, {.seed = 4}};
        zp::Loader loader{zp::Seq2SeqBatches{data, sampler, rank}, 20};
        for (std::uint64_t index = 0; index < 20; ++index) {
            const zp::Seq2SeqBatch& batch = loader.next();
            const auto expected = sampler.take(index / 2, index % 2, rank);
            for (std::size_t row = 0; row < 2; ++row) {
                CHECK(batch.labels[row * batch.target_length] ==
                      static_cast<std::int32_t>(expected[row] + 10));
                // 2 steps an epoch, 2 micro-steps a step.
                CHECK(batch.ordinals[row] == index / 4 * 23 + expected[row]);
            }
        }
        CHECK(message_of([&] { loader.next(); }) ==
              "zeropp: Loader: batch 21 is asked for, expected at most 20");
    }
}

TEST_CASE("a loader's epochs are whole, in any order, and after a broken off one") {
    const zp::Seq2SeqDataset data = numbered(23);
    zp::Sampler sampler{data.size(), {.micro = 2, .accumulation = 2, .ranks = 2}, {.seed = 4}};
    zp::Loader loader{zp::Seq2SeqBatches{data, sampler, 1}};
    for (const std::uint64_t epoch : {0u, 1u, 3u, 2u, 2u}) {
        std::uint64_t index = 4 * epoch;  // 2 steps of 2 micro-steps
        CHECK(loader.epoch(epoch).size() == 4);
        for (const zp::Seq2SeqBatch& batch : loader.epoch(epoch)) {
            const auto expected = sampler.take(index / 2, index % 2, 1);
            CHECK(batch.labels[0] == static_cast<std::int32_t>(expected[0] + 10));
            CHECK(batch.ordinals[0] == epoch * 23 + expected[0]);
            if (++index == 4 * epoch + 3 && epoch == 3) break;
        }
        CHECK(index == 4 * epoch + (epoch == 3 ? 3 : 4));
    }
    zp::Loader endless{[](std::uint64_t, zp::Seq2SeqBatch&) {}};
    CHECK(message_of([&] { endless.epoch(0); }) ==
          "zeropp: Loader: epoch is asked for, expected batches that say per_epoch()");
}

TEST_CASE("corrupted batches hold the text, and differ from epoch to epoch") {
    const zp::Seq2SeqDataset data = numbered(8);
    const zp::Sampler sampler{8, {8, 1, 1}, {.shuffle = false}};
    const zp::SpanCorruption corruption{.first_sentinel = 199};
    zp::SpanCorruptionBatches make{data, sampler, 0, corruption, 1};
    zp::Seq2SeqBatch first, second;
    make(0, first);
    make(1, second);
    CHECK(first.source_ids != second.source_ids);
    CHECK(first.ordinals[3] == 3);
    CHECK(second.ordinals[3] == 11);
    for (std::size_t row = 0; row < 8; ++row) {
        const std::size_t length = data[row].source.size() - 1;
        std::size_t real = 0;
        for (std::size_t i = 0; i < first.source_length; ++i)
            real += first.source_mask[row * first.source_length + i];
        CHECK(real == corruption.source_length(length));
    }
    zp::Seq2SeqDataset with_empty = numbered(2);
    with_empty.add(Ids{1}, Ids{1});
    CHECK(message_of([&] {
              zp::SpanCorruptionBatches{with_empty, sampler, 0, corruption, 1};
          }) ==
          "zeropp: span corruption: example 3 has no tokens, expected a text of at least one");
}

TEST_CASE("what goes wrong while batches are made is thrown in its turn") {
    zp::Loader loader{[](std::uint64_t index, zp::Seq2SeqBatch& batch) {
                          if (index == 2) throw std::runtime_error{"third"};
                          batch.size = index + 1;
                      },
                      5};
    CHECK(loader.next().size == 1);
    CHECK(loader.next().size == 2);
    CHECK_THROWS_WITH(loader.next(), "third");
    CHECK_THROWS_WITH(loader.next(), "third");
}

TEST_CASE("a loader that nobody reads to the end ends") {
    for (int trial = 0; trial < 50; ++trial) {
        zp::Loader loader{[](std::uint64_t, zp::Seq2SeqBatch& batch) { batch.size = 1; },
                          1'000'000};
        for (int i = 0; i < trial % 7; ++i) loader.next();
    }
    SUCCEED();
}
