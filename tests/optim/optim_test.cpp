// SPDX-License-Identifier: Apache-2.0
/// \file Optimizers against PyTorch's and DeepSpeed's (tests/golden/optim.py).
#include <fstream>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include <zeropp/optim/adagrad.hpp>
#include <zeropp/optim/adamw.hpp>
#include <zeropp/optim/lion.hpp>
#include <zeropp/optim/sgd.hpp>

#include "support/catch.hpp"
#include "support/golden.hpp"

using namespace zeropp;

namespace {

template <Optimizer O>
void follows(const char* name, const O& optimizer, double epsilon = 2e-6) {
    static const nlohmann::json data = [] {
        std::ifstream file{testing::golden("optim/steps.json")};
        return nlohmann::json::parse(file);
    }();
    const nlohmann::json& after = data["after"][name];
    const auto shown = data["shown"].get<std::vector<std::int64_t>>();
    auto parameters = data["start"].get<std::vector<float>>();
    parameters.resize(after[0].size());
    std::vector<SlotValues<O::slots.size()>> slots(parameters.size());
    optimizer.check();
    std::size_t next = 0;
    for (std::int64_t step = 1; next < shown.size(); ++step) {
        const auto gradients = data["gradients"][static_cast<std::size_t>(step) - 1]
                                   .template get<std::vector<float>>();
        const auto constants = optimizer.constants({.index = step, .rates = optimizer.rates()});
        for (std::size_t i = 0; i < parameters.size(); ++i)
            parameters[i] = O::update(constants, parameters[i], gradients[i], slots[i]);
        if (step != shown[next]) continue;
        const auto expected = after[next++].template get<std::vector<float>>();
        for (std::size_t i = 0; i < parameters.size(); ++i) {
            INFO(name << ", step " << step << ", element " << i);
            CHECK(parameters[i] == Approx(expected[i]).epsilon(epsilon).margin(epsilon / 10));
        }
    }
}

template <class O>
std::string refusal(const O& optimizer) {
    try {
        optimizer.check();
    } catch (const Error& error) {
        CHECK(error.code() == Errc::config);
        return error.what();
    }
    return "";
}

}  // namespace

// Tolerances: a few roundings of fp32 a step, of values up to 1.
TEST_CASE("Adam and AdamW take PyTorch's steps") {
    follows("adamw", AdamW{.lr = 3e-2f, .beta2 = 0.95, .weight_decay = 0.1f});
    follows("adamw_defaults", AdamW{});
    follows("adamw_maximize", AdamW{.lr = 1e-2f, .weight_decay = 0.05f, .maximize = true});
    follows("adam", Adam{.lr = 3e-2f, .eps = 1e-6f, .weight_decay = 0.1f});
    follows("adam_maximize", Adam{.lr = 3e-2f,
                                  .beta1 = 0.8f,
                                  .beta2 = 0.99,
                                  .eps = 1e-6f,
                                  .weight_decay = 0.1f,
                                  .maximize = true});
}

TEST_CASE("without bias correction Adam and AdamW take DeepSpeed's steps") {
    follows("adamw_uncorrected",
            AdamW{.beta2 = 1 - 0x1p-10, .weight_decay = 0.1f, .bias_correction = false});
    follows("adam_uncorrected",
            Adam{.beta2 = 1 - 0x1p-10, .weight_decay = 0.1f, .bias_correction = false});
}

TEST_CASE("Sgd and MomentumSgd take PyTorch's steps") {
    follows("sgd", Sgd{.lr = 0.1f, .weight_decay = 0.01f});
    follows("sgd_maximize", Sgd{.lr = 0.01f, .weight_decay = 0.1f, .maximize = true});
    follows("momentum_sgd", MomentumSgd{.lr = 0.1f, .weight_decay = 0.01f});
    follows("momentum_sgd_dampened", MomentumSgd{.lr = 0.1f, .momentum = 0.8f, .dampening = 0.4f});
    follows("momentum_sgd_without", MomentumSgd{.lr = 0.1f, .momentum = 0, .dampening = 0.4f});
    follows("momentum_sgd_nesterov",
            MomentumSgd{.lr = 0.05f, .nesterov = true, .weight_decay = 0.1f});
    follows("momentum_sgd_maximize",
            MomentumSgd{.lr = 0.01f, .dampening = 0.1f, .weight_decay = 0.1f, .maximize = true});
}

TEST_CASE("Lion takes DeepSpeed's steps, and stays where the paper's sign is 0") {
    follows("lion", Lion{});
    follows("lion_decayed", Lion{.lr = 1e-2f, .beta2 = 0.99, .weight_decay = 0.1f});
    SlotValues<1> slot{};
    const Lion lion{.weight_decay = 0};
    const auto constants = lion.constants({.index = 1, .rates = lion.rates()});
    CHECK(Lion::update(constants, 0.5f, 0.0f, slot) == 0.5f);
    CHECK(Lion::update(constants, 0.5f, -0.0f, slot) == 0.5f);
}

TEST_CASE("Adagrad takes PyTorch's steps") {
    follows("adagrad", Adagrad{});
    follows("adagrad_decayed",
            Adagrad{.lr = 0.1f, .lr_decay = 0.05f, .eps = 1e-8f, .weight_decay = 0.1f});
    follows("adagrad_maximize", Adagrad{.lr = 0.1f, .weight_decay = 0.1f, .maximize = true});
}

TEST_CASE("optimizers whose values mean nothing are refused") {
    CHECK(refusal(AdamW{.lr = -1}) == "zeropp: AdamW: lr is -1, expected 0 or more");
    CHECK(refusal(Adam{.beta2 = 1}) ==
          "zeropp: Adam: beta2 is 1, expected 0 or more and less than 1");
    CHECK(refusal(Sgd{.weight_decay = -1}) ==
          "zeropp: Sgd: weight_decay is -1, expected 0 or more");
    CHECK(refusal(MomentumSgd{.dampening = 1.5f}) ==
          "zeropp: MomentumSgd: dampening is 1.5, expected 0 to 1");
    CHECK(refusal(MomentumSgd{.momentum = 0, .nesterov = true}) ==
          "zeropp: MomentumSgd: nesterov is on, with momentum 0 and dampening 0, expected momentum "
          "above 0 and no dampening");
    CHECK(refusal(MomentumSgd{.dampening = 0.5f, .nesterov = true}) ==
          "zeropp: MomentumSgd: nesterov is on, with momentum 0.9 and dampening 0.5, expected "
          "momentum above 0 and no dampening");
    CHECK(refusal(Lion{.lr = -1}) == "zeropp: Lion: lr is -1, expected 0 or more");
    CHECK(refusal(Lion{.beta1 = 1}) ==
          "zeropp: Lion: beta1 is 1, expected 0 or more and less than 1");
    CHECK(refusal(Lion{.beta2 = 2}) ==
          "zeropp: Lion: beta2 is 2, expected 0 or more and less than 1");
    CHECK(refusal(Adagrad{.lr_decay = -1}) ==
          "zeropp: Adagrad: lr_decay is -1, expected 0 or more");
    CHECK(refusal(Adagrad{.eps = -1}) == "zeropp: Adagrad: eps is -1, expected 0 or more");
}
