// SPDX-License-Identifier: Apache-2.0
/// \file Greedy generation against transformers.
#include <string>
#include <vector>

#include <zeropp/model/loaded_weights.hpp>
#include <zeropp/model/t5_generate.hpp>

#include "model/golden.hpp"
#include "support/catch.hpp"

namespace zp = zeropp;
using namespace zeropp::testing;

namespace {

using Texts = std::vector<std::vector<std::int32_t>>;

zp::Seq2SeqBatch prompts(const Golden& golden) {
    zp::Seq2SeqBatch batch;
    batch.size = golden.tensor("prompt_ids").shape[0];
    batch.source_length = golden.tensor("prompt_ids").shape[1];
    batch.source_ids = golden.integers("prompt_ids");
    batch.source_mask = golden.integers<std::uint8_t>("prompt_mask");
    return batch;
}
Texts expected(const Golden& golden) {
    const std::size_t most = golden.tensor("tokens").shape[1];
    Texts texts(golden.tensor("tokens").shape[0]);
    const auto tokens = golden.integers("tokens");
    for (std::size_t i = 0; i < tokens.size(); ++i)
        if (tokens[i] >= 0) texts[i / most].push_back(tokens[i]);
    return texts;
}
template <class E = float>
zp::T5<E> golden_model(const std::string& name) {
    return zp::T5<E>::from_pretrained(golden_directory(name),
                                      {.micro_batch = 8, .max_source_length = 30});
}

}  // namespace

TEST_CASE("greedy generation in a batch gives the tokens of transformers") {
    for (const std::string name : golden_cases) {
        CAPTURE(name);
        const Golden golden{name};
        const auto model = golden_model(name);
        zp::LoadedWeights weights{model};
        zp::T5Generator generator{model, golden.tensor("tokens").shape[1]};
        CHECK(generator.greedy(prompts(golden), weights) == expected(golden));
        CHECK(generator.greedy(prompts(golden), weights) == expected(golden));  // memory used again
    }
}

TEST_CASE("an example alone, without padding, is continued as in its batch") {
    for (const std::string name : golden_cases) {
        CAPTURE(name);
        const Golden golden{name};
        const auto model = golden_model(name);
        zp::LoadedWeights weights{model};
        zp::T5Generator generator{model, golden.tensor("tokens").shape[1]};
        const zp::Seq2SeqBatch all = prompts(golden);
        for (std::size_t row = 0; row < all.size; ++row) {
            zp::Seq2SeqBatch one;
            one.size = 1;
            for (std::size_t at = 0; at < all.source_length; ++at)
                if (all.source_mask[row * all.source_length + at] != 0)
                    one.source_ids.push_back(all.source_ids[row * all.source_length + at]);
            one.source_length = one.source_ids.size();
            one.source_mask.assign(one.source_length, 1);
            CHECK(generator.greedy(one, weights)[0] == expected(golden)[row]);
        }
    }
}

TEST_CASE("generation stops at max_new_tokens") {
    const Golden golden{"relu_tied"};
    const auto model = golden_model("relu_tied");
    zp::LoadedWeights weights{model};
    zp::T5Generator generator{model, 2};
    const Texts texts = generator.greedy(prompts(golden), weights), longer = expected(golden);
    for (std::size_t row = 0; row < texts.size(); ++row) {
        REQUIRE(texts[row].size() == std::min<std::size_t>(2, longer[row].size()));
        CHECK(std::equal(texts[row].begin(), texts[row].end(), longer[row].begin()));
    }
}

TEST_CASE("generation in bf16 runs, and starts as in fp32 for most examples") {
    const Golden golden{"gated_untied"};
    const auto model = golden_model<zp::Bf16>("gated_untied");
    zp::LoadedWeights weights{model};
    zp::T5Generator generator{model, 12};
    const Texts texts = generator.greedy(prompts(golden), weights), exact = expected(golden);
    std::size_t equal = 0;
    for (std::size_t row = 0; row < texts.size(); ++row) equal += texts[row][0] == exact[row][0];
    CHECK(equal >= texts.size() / 2);  // 8 bits of mantissa: close logits may change places
}

TEST_CASE("generation refuses a batch beyond the model's options") {
    const Golden golden{"relu_tied"};
    const auto model = zp::T5<float>::from_pretrained(golden_directory("relu_tied"),
                                                      {.micro_batch = 4, .max_source_length = 30});
    zp::LoadedWeights weights{model};
    zp::T5Generator generator{model, 2};
    CHECK_THROWS_WITH(generator.greedy(prompts(golden), weights),
                      Catch::Matchers::Contains("expected 1 to 4 of 1 to 30"));
    CHECK_THROWS_WITH((zp::T5Generator{model, 0}),
                      Catch::Matchers::Contains("max_new_tokens is 0, expected at least 1"));
}
