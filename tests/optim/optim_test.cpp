// SPDX-License-Identifier: Apache-2.0
/// \file Optimizers against PyTorch (tests/golden/optim.py), schedules against DeepSpeed.
#include <cmath>
#include <fstream>
#include <vector>

#include <nlohmann/json.hpp>

#include <zeropp/optim/adamw.hpp>
#include <zeropp/optim/loss_scale.hpp>
#include <zeropp/optim/schedule.hpp>
#include <zeropp/optim/sgd.hpp>

#include "support/catch.hpp"
#include "support/golden.hpp"

using namespace zeropp;

namespace {

nlohmann::json read(const char* name) {
    std::ifstream file{testing::golden(name)};
    return nlohmann::json::parse(file);
}

template <Optimizer O>
void follows_pytorch(const O& optimizer) {
    const auto data = read("optim/steps.json");
    auto parameters = data["start"].get<std::vector<float>>();
    std::vector<SlotValues<O::slots.size()>> slots(parameters.size());
    for (std::size_t step = 0; step < data["gradients"].size(); ++step) {
        const auto constants = optimizer.constants(
            {.index = static_cast<std::int64_t>(step) + 1, .rates = optimizer.rates()});
        const auto expected =
            data["after"][std::string{O::name}][step].template get<std::vector<float>>();
        for (std::size_t i = 0; i < parameters.size(); ++i) {
            parameters[i] = O::update(constants, parameters[i],
                                      data["gradients"][step][i].template get<float>(), slots[i]);
            INFO(O::name << ", step " << step + 1 << ", element " << i);
            CHECK(
                parameters[i] ==
                Approx(expected[i]).epsilon(2e-6).margin(2e-7));  // a few roundings of fp32 a step
        }
    }
}

}  // namespace

TEST_CASE("optimizers take PyTorch's steps") {
    follows_pytorch(AdamW{.lr = 3e-2f, .beta2 = 0.95f, .weight_decay = 0.1f});
    follows_pytorch(Adam{.lr = 3e-2f, .eps = 1e-6f, .weight_decay = 0.1f});
    follows_pytorch(Sgd{.lr = 0.1f, .weight_decay = 0.01f});
    follows_pytorch(MomentumSgd{.lr = 0.1f, .weight_decay = 0.01f});
}

TEST_CASE("WarmupLR gives DeepSpeed's rates, two steps at the lowest first") {
    const auto traces = read("optim/deepspeed_warmup.json");
    for (const auto& [name, trace] : traces.items()) {
        const auto& given = trace["params"];
        const WarmupLR schedule{.min_lr = given.value("warmup_min_lr", 0.0f),
                                .max_lr = given["warmup_max_lr"].get<float>(),
                                .steps = given["warmup_num_steps"].get<std::int64_t>(),
                                .shape = given.value("warmup_type", "log") == "linear"
                                             ? WarmupLR::Shape::linear
                                             : WarmupLR::Shape::log};
        for (std::size_t i = 0; i < trace["trace"].size(); ++i) {
            INFO(name << ", step " << i + 1);
            CHECK(
                schedule(static_cast<std::int64_t>(i) + 1, {.lr = 1}).lr ==
                Approx(trace["trace"][i][1].get<double>()).epsilon(1e-6));  // one rounding to fp32
        }
    }
}

TEST_CASE("warm-up and decay reach their ends") {
    const WarmupLinear linear{.warmup = 10, .total = 100};
    CHECK(linear(1, {.lr = 2}).lr == Approx(0.2));
    CHECK(linear(10, {.lr = 2}).lr == Approx(2));
    CHECK(linear(11, {.lr = 2}).lr == Approx(2 * 90.0 / 91));
    CHECK(linear(100, {.lr = 2}).lr == Approx(2 / 91.0));
    CHECK(linear(101, {.lr = 2}).lr == 0);
    const WarmupCosine cosine{.warmup = 10, .total = 110, .floor = 0.1f};
    CHECK(cosine(5, {.lr = 2}).lr == Approx(1));
    CHECK(cosine(60, {.lr = 2}).lr == Approx(2 * 0.55));
    CHECK(cosine(110, {.lr = 2}).lr == Approx(0.2));
    CHECK(cosine(500, {.lr = 2}).lr == Approx(0.2));
    CHECK(Constant{}(7, {.lr = 2, .momentum = 0.5f}).momentum == 0.5f);
    const auto halved = [factor = 0.5f](std::int64_t, Rates base) {
        return Rates{.lr = factor * base.lr, .momentum = base.momentum};
    };
    static_assert(Schedule<decltype(halved)>);
    CHECK(AnySchedule{halved}(1, {.lr = 2}).lr == 1);
}

TEST_CASE("the loss scale moves as DeepSpeed's does") {
    const auto golden = read("optim/deepspeed_loss_scale.json");
    for (const auto& [name, given] : golden["cases"].items()) {
        LossScaler scaler{
            LossScale{.initial_scale_power =
                          static_cast<int>(std::log2(given["initial_scale"].get<double>())),
                      .loss_scale_window = golden["window"].get<int>(),
                      .hysteresis = given["hysteresis"].get<int>(),
                      .consecutive_hysteresis = given["consecutive_hysteresis"].get<bool>(),
                      .min_loss_scale = golden["min_scale"].get<float>()}};
        for (std::size_t step = 0; step < given["after"].size(); ++step) {
            INFO(name << ", step " << step + 1);
            const bool overflow = given["overflow"][step].get<bool>();
            const bool raises = given["after"][step].is_string();
            CHECK((overflow && scaler.is_at_minimum()) == raises);
            if (raises) break;
            scaler.update(overflow);
            CHECK(scaler.scale() == given["after"][step][0].get<float>());
            CHECK(scaler.hysteresis() == given["after"][step][1].get<int>());
        }
    }
    LossScaler fixed{LossScale{.loss_scale = 128}};
    fixed.update(true);
    CHECK(fixed.scale() == 128);
}
