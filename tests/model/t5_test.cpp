// SPDX-License-Identifier: Apache-2.0
/// \file T5 against transformers and PyTorch: logits, loss, gradients, ten steps of AdamW.
#include <string>
#include <vector>

#include <zeropp/comm/self.hpp>
#include <zeropp/model/t5.hpp>
#include <zeropp/trainer.hpp>

#include "model/golden.hpp"
#include "model/logits.hpp"
#include "support/catch.hpp"

namespace zp = zeropp;
using namespace zeropp::testing;

namespace {

/// fp32 sums in another order than PyTorch's: rounding, a few units of 2^-24 a sum.
constexpr double tolerance = 1e-5;

zp::T5<float> golden_model(const std::string& name) {
    return zp::T5<float>::from_pretrained(
        golden_directory(name),
        {.micro_batch = 3, .max_source_length = 150, .max_target_length = 11, .dropout = 0.0f});
}

}  // namespace

TEST_CASE("T5's logits equal those of transformers") {
    for (const std::string name : golden_cases) {
        CAPTURE(name);
        const Golden golden{name};
        auto model = golden_model(name);
        CHECK(relative_distance(logits_of(model, golden.batch()), golden.values("logits")) <
              tolerance);
    }
}

TEST_CASE("T5's loss and every gradient equal PyTorch's") {
    for (const std::string name : golden_cases) {
        CAPTURE(name);
        const Golden golden{name};
        auto model = golden_model(name);
        Recorder recorder{model};
        const zp::Loss loss = model.run(golden.batch(), recorder, 1.0f);
        CHECK(loss.mean() == Approx(golden.values("loss")[0]).epsilon(tolerance));
        CHECK(recorder.is_complete(2, 1));
        const auto gradients = recorder.gradients();
        CHECK(gradients.size() == golden.count("gradient."));
        for (const auto& [parameter, values] : gradients) {
            CAPTURE(parameter);
            CHECK(relative_distance(values, golden.values("gradient." + parameter)) < tolerance);
        }
    }
}

TEST_CASE("T5's evaluation gives training's loss without dropout, and uses every unit once") {
    for (const std::string name : golden_cases) {
        CAPTURE(name);
        const Golden golden{name};
        auto model = golden_model(name);
        Recorder recorder{model};
        const zp::Loss loss = model.evaluate(golden.batch(), recorder);
        CHECK(loss.mean() == Approx(golden.values("loss")[0]).epsilon(tolerance));
        CHECK(recorder.is_complete(1, 0));
        CHECK(model.evaluation_bytes() < model.activation_bytes());
    }
}

TEST_CASE("T5 after ten clipped steps of AdamW has PyTorch's weights") {
    for (const std::string name : golden_cases) {
        CAPTURE(name);
        const Golden golden{name};
        auto model = golden_model(name);
        zp::SelfComm comm;
        zp::Trainer trainer{model, comm, zp::zero<1>, zp::AdamW{.lr = 3e-3f, .weight_decay = 0.1f},
                            zp::ClipNorm{1.0f}};
        const std::vector<float> losses = golden.values("losses"), norms = golden.values("norms");
        for (std::size_t step = 0; step < 10; ++step) {
            CAPTURE(step);
            const zp::Step done = trainer.step(golden.batch(step % 2 == 0 ? "" : "second."));
            CHECK(done.loss == Approx(losses[step]).epsilon(tolerance));
            CHECK(done.gradient_norm == Approx(norms[step]).epsilon(tolerance));
        }
        std::size_t compared = 0;
        trainer.for_each_weight([&](const zp::Parameter& parameter, std::size_t,
                                    std::span<const float> values) {
            CAPTURE(parameter.name);
            CHECK(relative_distance(values, golden.values("after." + parameter.name)) < tolerance);
            ++compared;
        });
        CHECK(compared == golden.count("after."));
    }
}
