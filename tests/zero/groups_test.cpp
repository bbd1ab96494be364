// SPDX-License-Identifier: Apache-2.0
/// \file Parameter groups, optimizers as values, and slots in fewer bits: the law of the stages.
#include <cmath>
#include <map>
#include <vector>

#include <zeropp/comm/self.hpp>

#include "support/catch.hpp"
#include "support/temporary.hpp"
#include "zero/training.hpp"

using namespace zeropp;
using namespace zeropp::testing;

namespace {

bool is_bias(std::string_view name) { return name.ends_with(".bias") || name == "shared.c"; }

/// With options of its own, beside the settings'.
template <class S, class E, class... Options>
Result train_with(const Settings& settings, Options... options) {
    Result result{settings.world};
    run_ranks(settings.world, [&](ThreadComm comm) {
        Mlp<E> model{settings.width, 4, settings.frozen};
        Trainer trainer{
            model, comm, S{}, options..., settings.accumulation, Buckets{settings.bucket}};
        const auto rank = static_cast<std::size_t>(comm.rank());
        for (int s = 0; s < settings.steps * settings.accumulation.steps; ++s) {
            const Step step =
                trainer.step(MlpBatch{.seed = std::uint64_t(1 + s * comm.size() + comm.rank())});
            if (comm.rank() == 0 && step.updated)
                result.norms.push_back(std::bit_cast<std::uint64_t>(step.gradient_norm));
        }
        trainer.settle();
        result.reserved[rank] = trainer.engine().bytes_reserved();
        result.used[rank] = trainer.engine().bytes_used();
        result.planned[rank] = trainer.plan().total();
        trainer.for_each_weight([&](const Parameter&, std::size_t, std::span<const float> values) {
            for (const float value : values)
                result.weights.push_back(std::bit_cast<std::uint32_t>(value));
        });
    });
    return result;
}

template <class E, class... Options>
Result same_at_all_stages(const Settings& settings, Options... options) {
    const Result expected = train_with<Zero<0>, E>(settings, options...);
    for (const Result& other : {train_with<Zero<1>, E>(settings, options...),
                                train_with<Zero<2>, E>(settings, options...),
                                train_with<Zero<3>, E>(settings, options...)}) {
        CHECK(other.same_values(expected));
        CHECK(other.used == other.reserved);
        CHECK(other.planned == other.reserved);
    }
    return expected;
}

/// LARS without momentum: You et al., "Large batch training of convolutional networks", 2017.
struct Lars {
    float lr = 0.1f, weight_decay = 1e-2f;
    static constexpr std::string_view name = "lars";
    static constexpr std::array<Slot, 0> slots{};
    static constexpr std::size_t statistics = 2;
    struct Constants {
        float lr, weight_decay, local;
    };
    Rates rates() const { return {.lr = lr}; }
    Constants constants(StepContext now) const { return {now.rates.lr, weight_decay, 1}; }
    static float update(const Constants& c, float p, float g, SlotValues<0>&) {
        return __builtin_fmaf(-c.lr * c.local, __builtin_fmaf(c.weight_decay, p, g), p);
    }
    static void measure(const Constants&, float p, float g, const SlotValues<0>&,
                        Few<float, 2>& terms) {
        terms = {{p * p, g * g}};
    }
    static Constants with_sums(Constants c, std::span<const double, 2> sums) {
        const double p = std::sqrt(sums[0]), g = std::sqrt(sums[1]);
        c.local = static_cast<float>(p / (g + c.weight_decay * p));
        return c;
    }
};
static_assert(MeasuresTensors<Lars>);

struct Plain {
    float rate = 0.1f;
    static constexpr std::string_view name = "plain";
    static constexpr std::array<Slot, 0> slots{};
    Rates rates() const { return {.lr = rate}; }
    Rates constants(StepContext now) const { return now.rates; }
    static float update(const Rates& now, float p, float g, SlotValues<0>&) {
        return p - now.lr * g;
    }
};

}  // namespace

TEST_CASE("an optimizer as a value does what its type does") {
    const Settings settings{.world = 2};
    const Result expected = same_at_all_stages<Bf16>(settings, AdamW{.lr = 1e-2f});
    CHECK(train_with<Zero<2>, Bf16>(settings, AnyOptimizer{AdamW{.lr = 1e-2f}})
              .same_values(expected));
    SelfComm comm;
    Mlp<float> model;
    CHECK_THROWS_WITH((Trainer{model, comm, AnyOptimizer{AdamW{.eps = -1}}}),
                      "zeropp: AdamW: eps is -1, expected 0 or more");
}

TEST_CASE("parameter groups have rates of their own at all stages", "[law]") {
    const ParameterGroups groups{
        {{.matches = is_bias, .weight_decay = 0.0f},
         {.matches = [](std::string_view name) { return name.starts_with("layer.3"); },
          .lr = 0.0f}}};
    for (const int world : {1, 3}) {
        const Settings settings{.world = world, .frozen = true};
        const AdamW decaying{.lr = 1e-2f, .weight_decay = 10};
        const Result grouped = same_at_all_stages<Bf16>(settings, decaying, groups);
        CHECK_FALSE(grouped.same_values(same_at_all_stages<Bf16>(settings, decaying)));
    }
}

TEST_CASE("a group's rates are its parameters' and nobody else's") {
    const auto weights = [](auto... options) {
        SelfComm comm;
        Mlp<float> model;
        Trainer trainer{model, comm, Sgd{.lr = 0.1f, .weight_decay = 0.5f}, options...};
        trainer.step(MlpBatch{.seed = 1});
        std::map<std::string, std::vector<float>> all;
        trainer.for_each_weight(
            [&](const Parameter& parameter, std::size_t, std::span<const float> values) {
                auto& of = all[parameter.name];
                of.insert(of.end(), values.begin(), values.end());
            });
        return all;
    };
    const auto alike = weights();
    const auto grouped = weights(ParameterGroups{
        {{.matches = is_bias, .weight_decay = 0.0f},
         {.matches = [](std::string_view name) { return name == "layer.0.weight"; }, .lr = 0.0f}}});
    for (const auto& [name, values] : grouped) {
        INFO(name);
        CHECK((values == alike.at(name)) == (!is_bias(name) && name != "layer.0.weight"));
        if (name == "layer.0.weight") {
            std::vector<float> initial(values.size());
            Mlp<float>{}.fill(1, 0, 0, initial);
            CHECK(values == initial);
        }
        if (name == "layer.1.bias")  // the decay alone is missing: p - lr * wd * p
            for (std::size_t i = 0; i < values.size(); ++i) {
                std::vector<float> initial(values.size());
                Mlp<float>{}.fill(2, 1, 0, initial);
                CHECK(values[i] - alike.at(name)[i] == Approx(0.05f * initial[i]).margin(1e-7));
            }
    }
}

TEST_CASE("groups that mean nothing are refused by number") {
    SelfComm comm;
    Mlp<float> model;
    const auto refusal = [&](ParameterGroup group) {
        return message_of([&] { Trainer{model, comm, ParameterGroups{{{is_bias}, group}}}; });
    };
    CHECK(refusal({}) ==
          "zeropp: ParameterGroups: group 2 matches nothing, expected a predicate of names");
    CHECK(refusal({.matches = is_bias, .lr = -1.0f}) ==
          "zeropp: ParameterGroups: group 2: lr is -1, expected 0 or more");
    CHECK(message_of([&] {
              Trainer{model, comm, Plain{}, ParameterGroups{{{is_bias, 0.5f, std::nullopt}}}};
          }) ==
          "zeropp: ParameterGroups: a group has its own lr, expected none: optimizer plain has no "
          "member lr");
}

TEST_CASE("norms of whole tensors are the same at all stages", "[law]") {
    for (const int world : {1, 2, 3})
        same_at_all_stages<Bf16>({.world = world, .frozen = true}, Lars{});
    same_at_all_stages<Half>({.world = 2, .accumulation = {2, Accumulation::Reduce::once_a_step}},
                             Lars{});
}

TEST_CASE("norms are of the tensor, not of a rank's shard of it") {
    const Result one = train_with<Zero<0>, float>({.world = 1, .steps = 1}, Lars{});
    SelfComm comm;
    Mlp<float> model;
    Trainer plain{model, comm, Sgd{.lr = 1, .weight_decay = 0}, ClipNorm{0}};
    plain.step(MlpBatch{.seed = 1});
    std::size_t at = 0;
    plain.for_each_weight(
        [&](const Parameter& parameter, std::size_t, std::span<const float> after) {
            const std::size_t unit =
                parameter.name == "shared.c" ? 0 : 1 + std::size_t(parameter.name[6] - '0');
            std::vector<float> before(after.size());
            model.fill(unit, parameter.name.ends_with(".bias") ? 1 : 0, 0, before);
            double p = 0, g = 0;
            for (std::size_t i = 0; i < after.size(); ++i) {
                p += double(before[i]) * before[i];
                g += std::pow(double(before[i]) - after[i], 2);
            }
            const double local = std::sqrt(p) / (std::sqrt(g) + 1e-2 * std::sqrt(p));
            for (std::size_t i = 0; i < after.size(); ++i) {
                const double gradient = double(before[i]) - after[i];
                CHECK(std::bit_cast<float>(one.weights[at++]) ==
                      Approx(before[i] - 0.1 * local * (gradient + 1e-2 * before[i]))
                          .epsilon(1e-5)  // the gradient is a difference of fp32 numbers
                          .margin(1e-6));
            }
        });
}

TEST_CASE("moments in bf16 and in 8 bits are the same at all stages, and take what the plan says",
          "[law]") {
    for (const SlotFormat format : {SlotFormat::bfloat16, SlotFormat::block8}) {
        same_at_all_stages<Bf16>({.world = 3, .frozen = true}, AdamW{}, OptimizerStates{format});
        same_at_all_stages<float>(
            {.world = 2, .accumulation = {2, Accumulation::Reduce::once_a_step}}, AdamW{},
            OptimizerStates{format});
    }
    SelfComm comm;
    std::vector<float> weights(1280), gradients(1280, 1.0f);
    Spans model{weights, gradients};
    const auto bytes = [&](SlotFormat format) {
        return Trainer{model, comm, OptimizerStates{format}}.plan().bytes_of("exp_avg");
    };
    CHECK(bytes(SlotFormat::float32) == 5120);
    CHECK(bytes(SlotFormat::bfloat16) == 2560);
    CHECK(bytes(SlotFormat::block8) == 1280 + 64);  // 10 scales, rounded up to 64 bytes
}
