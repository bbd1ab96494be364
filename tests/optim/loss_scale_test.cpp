// SPDX-License-Identifier: Apache-2.0
/// \file The loss scale against the trace of DeepSpeed's scaler.
#include <cmath>
#include <fstream>

#include <nlohmann/json.hpp>

#include <zeropp/optim/loss_scale.hpp>

#include "support/catch.hpp"
#include "support/golden.hpp"

using namespace zeropp;

namespace {

nlohmann::json read(const char* name) {
    std::ifstream file{testing::golden(name)};
    return nlohmann::json::parse(file);
}

}  // namespace

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
