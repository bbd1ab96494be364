// SPDX-License-Identifier: Apache-2.0
/// \file T5 in fp16 against transformers in fp16: logits, loss, gradients, activations beyond
/// fp16's range; and that nothing of it needs an fp32 model.
#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <vector>

#include <zeropp/io/pretrained.hpp>
#include <zeropp/model/loaded_weights.hpp>
#include <zeropp/model/t5.hpp>
#include <zeropp/model/t5_generate.hpp>

#include "model/golden.hpp"
#include "model/logits.hpp"
#include "support/catch.hpp"
#include "support/temporary.hpp"

namespace zp = zeropp;
using namespace zeropp::testing;

namespace {

/// Each of some twenty roundings in a row is of 2^-11 = 5e-4, at random; transformers in fp16 is
/// itself 7e-4 to 1.1e-3 away from fp32 (tests/golden/t5.py prints it).
constexpr double tolerance = 3e-3;
/// Backward has as many again; transformers' gradients are up to 4e-3 away from those in fp32.
constexpr double gradient_tolerance = 1e-2;
/// A norm's gradient lacks what lies along its input: where that is huge, a difference of like
/// numbers, whose rounding stands out.
constexpr double huge_gradient_tolerance = 2e-2;

const char* const with_gradients[] = {"relu_tied", "gated_untied"};

template <class E = zp::Half>
zp::T5<E> golden_model(const std::string& name) {
    return zp::T5<E>::from_pretrained(
        golden_directory(name),
        {.micro_batch = 3, .max_source_length = 150, .max_target_length = 11, .dropout = 0.0f});
}

std::map<std::string, std::vector<float>> gradients_of(const std::string& name, float loss_scale) {
    auto model = golden_model(name);
    Recorder recorder{model};
    model.run(Golden{name, "half.safetensors"}.batch(), recorder, loss_scale);
    CHECK(recorder.is_complete(2, 1));
    return recorder.gradients();
}

bool all_finite(const std::vector<float>& values) {
    return std::ranges::all_of(values, [](float value) { return zp::is_finite(value); });
}

}  // namespace

TEST_CASE("T5 in fp16 has the logits and the loss of transformers in fp16") {
    for (const std::string name : golden_cases) {
        CAPTURE(name);
        const Golden half{name, "half.safetensors"};
        auto model = golden_model(name);
        const zp::Seq2SeqBatch batch = half.batch();
        CHECK(relative_distance(logits_of(model, batch), half.values("logits")) < tolerance);
        Recorder recorder{model};
        const double expected = half.values("loss")[0];  // itself rounded to fp16
        CHECK(model.evaluate(batch, recorder).mean() == Approx(expected).epsilon(tolerance));
        CHECK(model.run(batch, recorder, 1.0f).mean() == Approx(expected).epsilon(tolerance));
    }
}

TEST_CASE("T5 in fp16 has the gradients of transformers in fp16, both scaled") {
    for (const std::string name : with_gradients) {
        CAPTURE(name);
        const Golden half{name, "half.safetensors"};
        const auto gradients = gradients_of(name, 1024.0f);
        CHECK(gradients.size() == half.count("gradient."));
        for (const auto& [parameter, values] : gradients) {
            CAPTURE(parameter);
            CHECK(relative_distance(values, half.values("gradient." + parameter)) <
                  gradient_tolerance);
        }
    }
}

TEST_CASE("gradients of 1024 times the loss are 1024 times as large") {
    for (const std::string name : with_gradients) {
        CAPTURE(name);
        const auto scaled = gradients_of(name, 1024.0f), plain = gradients_of(name, 1.0f);
        for (const auto& [parameter, values] : plain) {
            CAPTURE(parameter);
            std::vector<float> wanted = values;
            for (float& value : wanted) value *= 1024;
            // A power of two moves no rounding but that of what is below 2^-14 without it, which
            // is to multiples of 2^-24: the smallest gradients on the way are of some 2^-15.
            CHECK(relative_distance(scaled.at(parameter), wanted) < tolerance);
        }
    }
}

TEST_CASE("activations beyond fp16's range are those of transformers: wo in fp32, and clamped") {
    const Golden half{"overflow", "half.safetensors"};
    auto model = golden_model("overflow");
    const zp::Seq2SeqBatch batch = half.batch();
    const std::vector<float> logits = logits_of(model, batch);
    CHECK(all_finite(logits));
    CHECK(relative_distance(logits, half.values("logits")) < tolerance);
    Recorder recorder{model};
    CHECK(model.run(batch, recorder, 1024.0f).mean() ==
          Approx(half.values("loss")[0]).epsilon(tolerance));
    for (const auto& [parameter, values] : recorder.gradients()) {
        CAPTURE(parameter);
        CHECK(all_finite(values));
        CHECK(relative_distance(values, half.values("gradient." + parameter)) <
              huge_gradient_tolerance);
    }
    // The clamp is seen: without it, in fp32, the logits are others.
    auto unclamped = golden_model<float>("overflow");
    CHECK(relative_distance(logits_of(unclamped, batch), half.values("logits")) > 3 * tolerance);
}

TEST_CASE("generation in fp16 with a cache takes the tokens that its logits without one take") {
    for (const std::string name : golden_cases) {
        CAPTURE(name);
        const Golden golden{name};
        zp::Seq2SeqBatch batch = golden.batch();
        auto model = golden_model(name);
        zp::LoadedWeights weights{model};
        zp::T5Generator generator{model, 6};
        const auto texts = generator.greedy(batch, weights);
        batch.target_length = 6;
        batch.labels.assign(batch.size * 6, 0);
        for (std::size_t row = 0; row < batch.size; ++row)
            std::ranges::copy(texts[row], batch.labels.begin() + static_cast<long>(row * 6));
        const std::vector<float> logits = logits_of(model, batch);
        const std::size_t vocabulary = model.config().vocab_size;
        for (std::size_t row = 0; row < batch.size; ++row)
            for (std::size_t at = 0; at < texts[row].size(); ++at) {
                const auto first = logits.begin() + static_cast<long>((row * 6 + at) * vocabulary);
                const float best = *std::max_element(first, first + static_cast<long>(vocabulary));
                // Products of one row and of six are rounded alike but for the order of sums: two
                // logits that are one place of fp16 apart may change theirs.
                CHECK(first[texts[row][at]] >= best - std::abs(best) * 0x1p-9f);
            }
    }
}

TEST_CASE("weights beyond fp16's range are refused by name") {
    zp::T5Config config;
    config.vocab_size = config.d_model = config.d_kv = config.d_ff = 32;
    config.num_layers = config.num_decoder_layers = config.num_heads = 1;
    config.initializer_factor = 1e5f;
    const auto model = zp::T5<zp::Half>::with_random_weights(config, 1);
    CHECK_THROWS_WITH(
        zp::LoadedWeights{model},
        Catch::Matchers::StartsWith("zeropp: initial values: 'shared.weight' is ") &&
            Catch::Matchers::EndsWith(", expected at most 65504 in fp16; use bf16 or fp32"));
    CHECK_NOTHROW(zp::LoadedWeights{zp::T5<zp::Bf16>::with_random_weights(config, 1)});
}

TEST_CASE("a T5 in fp16 is saved as it was read") {
    const TemporaryFolder folder;
    zp::save_pretrained(golden_model("scaled_untied"), folder / "saved");
    const auto from = golden_model("scaled_untied");
    const auto back = zp::T5<zp::Half>::from_pretrained(folder / "saved");
    const std::vector<zp::Unit> units = from.units();
    for (std::size_t u = 0; u < units.size(); ++u)
        for (std::size_t p = 0; p < units[u].parameters.size(); ++p) {
            std::vector<float> was(units[u].parameters[p].size()), is = was;
            from.fill(u, p, 0, was);
            back.fill(u, p, 0, is);
            CHECK(was == is);
        }
}

TEST_CASE("a run of T5 in fp16 takes exactly the activations that are planned") {
    for (const std::string name : with_gradients) {
        auto model = zp::T5<zp::Half>::from_pretrained(
            golden_directory(name),
            {.micro_batch = 3, .max_source_length = 30, .max_target_length = 11});
        Recorder recorder{model};
        model.run(Golden{name}.batch(), recorder, 1024.0f);  // of the largest size
        CHECK(model.arena(0).capacity() == model.activation_bytes());
        CHECK(model.arena(0).peak() == model.activation_bytes());
    }
}
