// SPDX-License-Identifier: Apache-2.0
/// \file The library's optimizers in the engine: the law of the stages, and whole tensors that are
/// sharded.
#include <cmath>
#include <fstream>
#include <vector>

#include <nlohmann/json.hpp>

#include <zeropp/model/spans.hpp>
#include <zeropp/optim/adafactor.hpp>
#include <zeropp/optim/adagrad.hpp>
#include <zeropp/optim/lamb.hpp>
#include <zeropp/optim/lion.hpp>

#include "support/catch.hpp"
#include "support/golden.hpp"
#include "zero/training.hpp"

using namespace zeropp;
using namespace zeropp::testing;

namespace {

template <class E>
void same_at_all_stages(const AnyOptimizer& optimizer) {
    for (const int world : {1, 2, 3, 4}) {
        const Settings settings{.world = world};
        const Result expected = train<Zero<0>, AnyOptimizer, E>(settings, optimizer);
        for (const Result& other : {train<Zero<1>, AnyOptimizer, E>(settings, optimizer),
                                    train<Zero<2>, AnyOptimizer, E>(settings, optimizer),
                                    train<Zero<3>, AnyOptimizer, E>(settings, optimizer)}) {
            INFO("world " << world);
            CHECK(other.same_values(expected));
            CHECK(other.used == other.reserved);
            CHECK(other.planned == other.reserved);
        }
        CHECK(expected.weights != train<Zero<0>, AnyOptimizer, E>(settings, Sgd{.lr = 0}).weights);
    }
}

template <class S>
std::vector<float> trained(const AnyOptimizer& optimizer, const nlohmann::json& given, int world) {
    std::vector<float> result;
    run_ranks(world, [&](ThreadComm comm) {
        auto weights = given["start"].get<std::vector<float>>();
        std::vector<float> gradients(weights.size());
        Spans model{weights, gradients};
        Trainer trainer{model, comm, S{}, optimizer, ClipNorm{0}};
        for (const auto& each : given["gradients"]) {
            const auto values = each.get<std::vector<float>>();
            std::copy(values.begin(), values.end(), gradients.begin());
            trainer.step();
        }
        if (comm.rank() == 0) result = weights;
    });
    return result;
}

}  // namespace

TEST_CASE("all stages leave the same bits with optimizers that look at whole tensors", "[law]") {
    same_at_all_stages<float>(Lamb{.lr = 2e-2f, .weight_decay = 0.1f});
    same_at_all_stages<float>(Adafactor{});
    same_at_all_stages<Bf16>(Lamb{.lr = 2e-2f, .weight_decay = 0.1f});
    same_at_all_stages<Bf16>(
        Adafactor{.lr = 1e-2f, .beta1 = 0.9f, .scale_parameter = false, .relative_step = false});
}

TEST_CASE("all stages leave the same bits with Lion, Adagrad and Nesterov's momentum", "[law]") {
    same_at_all_stages<float>(Lion{.lr = 1e-2f, .weight_decay = 0.1f});
    same_at_all_stages<float>(Adagrad{.lr = 0.1f});
    same_at_all_stages<float>(MomentumSgd{.lr = 0.1f, .nesterov = true});
}

TEST_CASE("a sharded tensor takes the golden steps of a whole one") {
    std::ifstream file{testing::golden("optim/whole_tensors.json")};
    const auto data = nlohmann::json::parse(file);
    const auto& given = data["tensors"]["vector"];
    const auto follows = [&](const char* name, const AnyOptimizer& optimizer) {
        const auto expected = data["after"][name]["vector"].back().get<std::vector<float>>();
        for (const auto& values :
             {trained<Zero<0>>(optimizer, given, 1), trained<Zero<1>>(optimizer, given, 3),
              trained<Zero<2>>(optimizer, given, 4)}) {
            REQUIRE(values.size() == expected.size());
            for (std::size_t i = 0; i < expected.size(); ++i) {
                INFO(name << ", element " << i);
                // a few roundings of fp32 a step, of values up to 1
                CHECK(values[i] == Approx(expected[i]).epsilon(2e-6).margin(4e-7));
            }
        }
    };
    follows("lamb_decayed", Lamb{.lr = 2e-2f, .beta1 = 0.8f, .beta2 = 0.99, .weight_decay = 0.1f});
    follows("adafactor", Adafactor{});
    follows("adafactor_decayed", Adafactor{.lr = 3e-2f,
                                           .eps = 1e-8f,
                                           .eps_scale = 1e-2f,
                                           .decay_rate = -0.6f,
                                           .weight_decay = 0.1f,
                                           .relative_step = false});
}
