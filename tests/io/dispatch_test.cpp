// SPDX-License-Identifier: Apache-2.0
/// \file Tests of the bridge from a configuration to policies, and of DeepSpeed's batch rule.
#include <cstdlib>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include <zeropp/io/dispatch.hpp>

#include "support/catch.hpp"
#include "support/temporary.hpp"

namespace zp = zeropp;

namespace {

zp::Config parsed(const std::string& text) { return zp::parse_config(text, "ds_config.json"); }

using Size = std::optional<std::int64_t>;
zp::BatchSizes resolved(Size train, Size micro, Size accumulation, int ranks) {
    return zp::batch_sizes({train, "ds_config.json: train_batch_size"},
                           {micro, "ds_config.json: train_micro_batch_size_per_gpu"},
                           {accumulation, "--accumulation"}, ranks);
}
std::array<std::int64_t, 3> values(const zp::BatchSizes& sizes) {
    return {sizes.train, sizes.micro, sizes.accumulation};
}
using Values = std::array<std::int64_t, 3>;

}  // namespace

TEST_CASE("batch sizes resolve as DeepSpeed's do", "[dispatch]") {
    // From DeepSpeed 0.19.6's _set_batch_related_parameters.
    CHECK(values(resolved(32, {}, {}, 4)) == Values{32, 8, 1});
    CHECK(values(resolved({}, 2, {}, 4)) == Values{8, 2, 1});
    CHECK(values(resolved(32, 2, {}, 4)) == Values{32, 2, 4});
    CHECK(values(resolved(32, {}, 2, 4)) == Values{32, 4, 2});
    CHECK(values(resolved({}, 2, 3, 4)) == Values{24, 2, 3});
    CHECK(values(resolved(32, 4, 2, 4)) == Values{32, 4, 2});
}

TEST_CASE("batch sizes that do not multiply out say which and what would", "[dispatch]") {
    CHECK_THROWS_WITH(resolved(33, {}, {}, 4),
                      "zeropp: ds_config.json: train_batch_size is 33, expected a multiple of 4 "
                      "ranks; the nearest are 32 and 36");
    CHECK_THROWS_WITH(
        resolved(32, 16, {}, 4),
        "zeropp: ds_config.json: train_batch_size is 32, expected a multiple of 16 "
        "(ds_config.json: train_micro_batch_size_per_gpu) * 4 ranks; the least is 64");
    CHECK_THROWS_WITH(resolved(32, {}, 3, 4),
                      "zeropp: ds_config.json: train_batch_size is 32, expected a multiple of 3 "
                      "(--accumulation) * 4 ranks; the nearest are 24 and 36");
    CHECK_THROWS_WITH(resolved(32, 4, 4, 4),
                      "zeropp: ds_config.json: train_batch_size is 32, expected 64 = 4 "
                      "(ds_config.json: train_micro_batch_size_per_gpu) * 4 (--accumulation) * 4 "
                      "ranks");
    CHECK_THROWS_WITH(resolved({}, {}, 4, 4),
                      "zeropp: batch sizes: neither train_batch_size nor "
                      "train_micro_batch_size_per_gpu is given, expected at least one");
    CHECK_THROWS_WITH(resolved(2, {}, {}, 4),
                      "zeropp: ds_config.json: train_batch_size is 2, expected a multiple of 4 "
                      "ranks; the least is 4");
    CHECK_THROWS_WITH(resolved({}, 2, 0, 4), "zeropp: --accumulation is 0, expected 1 to 1000000");
}

namespace {

/// What the optimizer of a file makes of one element in its second step.
float updated(const zp::AnyOptimizer& optimizer) {
    const auto rule = optimizer.make_rule({});
    float p = 0.5f, g = 0.25f, slots[zp::TensorPiece::most_slots] = {};
    for (float& slot : slots) slot = 0.125f;
    zp::TensorPiece piece{.count = 1, .parameters = &p, .gradients = &g};
    for (std::size_t s = 0; s < zp::TensorPiece::most_slots; ++s) piece.slots[s] = &slots[s];
    zp::Tensor2d tensor{.columns = 1};
    std::vector<float> kept(rule->kept(tensor));
    std::vector<double> sums;
    tensor.kept = kept;
    rule->begin({.index = 2, .rates = rule->rates()});
    for (std::size_t round = 0; round < rule->rounds(); ++round) {
        const std::size_t done = sums.size();
        sums.resize(done + rule->sums(round, tensor));
        tensor.sums = sums;
        rule->measure(round, tensor, piece, tensor.sums.subspan(done));
        rule->combine(round, tensor);
    }
    rule->update(tensor, piece);
    return p;
}
float updated_by(const std::string& optimizer) {
    return updated(zp::optimizer_of(parsed("{\"optimizer\": " + optimizer + "}")));
}

}  // namespace

TEST_CASE("precision and stage become types, the rest values", "[dispatch]") {
    const zp::Config config = parsed(R"({
      "train_batch_size": 16, "gradient_accumulation_steps": 2, "gradient_clipping": 0.5,
      "optimizer": {"type": "AdamW", "params": {"lr": 3e-4, "betas": [0.8, 0.95], "eps": 1e-6,
                                                "weight_decay": 0.1}},
      "scheduler": {"type": "WarmupLR", "params": {"warmup_num_steps": 10, "warmup_type": "linear"}},
      "bf16": {"enabled": true}, "data_types": {"grad_accum_dtype": "fp32"},
      "zeropp": {"optimizer_states": "8bit", "no_decay_on_norms": true},
      "zero_optimization": {"stage": 3, "reduce_bucket_size": 1000}
    })");
    bool called = false;
    zp::with_config(
        config, 2,
        [&](auto precision, auto stage, const zp::AnyOptimizer& optimizer,
            const zp::AnySchedule& schedule, zp::ClipNorm clip, zp::Accumulation accumulation,
            zp::Buckets buckets, zp::Gradients gradients, zp::LossScale, zp::OptimizerStates states,
            const zp::ParameterGroups& groups) {
            called = true;
            CHECK(std::is_same_v<decltype(precision), zp::Precision<zp::Bf16>>);
            CHECK(decltype(stage)::number == 3);
            CHECK(updated(optimizer) == updated(zp::AdamW{3e-4f, 0.8f, 0.95, 1e-6f, 0.1f}));
            CHECK(schedule(7, {.lr = 3e-4f}).lr == Approx(3e-4 * 5 / 10));
            CHECK(clip.max_norm == 0.5f);
            CHECK(accumulation.steps == 2);
            CHECK(buckets.elements == 1000);
            CHECK(gradients.type == zp::DType::fp32);
            CHECK(states.format == zp::SlotFormat::block8);
            CHECK(groups.group_of("encoder.final_layer_norm.weight") == 1);
            CHECK(groups.group_of("shared.weight") == 0);
        });
    CHECK(called);
}

TEST_CASE("an empty file gives DeepSpeed's defaults", "[dispatch]") {
    const zp::Config config = parsed(R"({"train_batch_size": 1})");
    zp::with_config(config, 1,
                    [&](auto precision, auto stage, const zp::AnyOptimizer& optimizer,
                        const zp::AnySchedule& schedule, zp::ClipNorm clip,
                        zp::Accumulation accumulation, zp::Buckets buckets, auto...) {
                        CHECK(std::is_same_v<decltype(precision), zp::Precision<float>>);
                        CHECK(decltype(stage)::number == 0);
                        CHECK(updated(optimizer) == updated(zp::AdamW{.weight_decay = 0}));
                        CHECK(schedule(1, {.lr = 1}).lr == 1);
                        CHECK(clip.max_norm == 1.0f);
                        CHECK(accumulation.steps == 1);
                        CHECK(buckets.elements == zp::Buckets{}.elements);
                    });
}

TEST_CASE("an object that was made elsewhere is a configuration", "[dispatch]") {
    const zp::Json object{{"train_batch_size", 4}, {"zero_optimization", {{"stage", 2}}}};
    CHECK(zp::with_config(object, 2, [](auto, auto stage, auto...) { return stage.number; }) == 2);
    CHECK_THROWS_WITH(
        zp::with_config(zp::Json{{"train_batch_sizes", 4}}, 2, [](auto...) { return 0; }),
        "zeropp: ds_config: train_batch_sizes is no key of DeepSpeed's, expected "
        "train_batch_size");
}

TEST_CASE("stages that a model cannot have are neither compiled nor accepted", "[dispatch]") {
    const auto number = [](auto, auto stage, auto...) {
        static_assert(decltype(stage)::number <= 2);
        return stage.number;
    };
    const auto config = [](int stage) {
        return zp::Json{{"train_batch_size", 4}, {"zero_optimization", {{"stage", stage}}}};
    };
    CHECK(zp::with_config<2>(config(2), 1, number) == 2);
    CHECK_THROWS_WITH(zp::with_config<2>(config(3), 1, number),
                      "zeropp: ds_config: zero_optimization.stage is 3, expected 0 to 2: the model "
                      "keeps its parameters whole");
}

TEST_CASE("what no policy does is not dropped in silence", "[dispatch]") {
    const zp::Json object{{"train_batch_size", 4},
                          {"csv_monitor", {{"enabled", true}}},
                          {"wall_clock_breakdown", true},
                          {"zeropp", {{"recompute", true}}}};
    const auto one = [](auto...) { return 1; };
    const std::string why =
        " is on, which no policy does, expected it off; zeropp-t5 does it, or a program that reads "
        "it from Config and calls with_policies";
    CHECK_THROWS_WITH(zp::with_config(object, 1, one),
                      "zeropp: ds_config: csv_monitor.enabled" + why +
                          "\nzeropp: ds_config: wall_clock_breakdown" + why +
                          "\nzeropp: ds_config: zeropp.recompute" + why);
    const zp::Config config = zp::config_from(object, "ds_config");
    CHECK(zp::with_policies(config, 1, one) == 1);
    CHECK_THROWS_WITH(
        zp::with_config(zp::Json{{"train_micro_batch_size_per_gpu", "auto"}}, 1, one),
        "zeropp: ds_config: train_micro_batch_size_per_gpu is \"auto\", expected a number, or a "
        "program that decides it");
}

TEST_CASE("without a number of ranks the launcher's counts", "[dispatch]") {
    const zp::testing::TemporaryFolder folder;
    const std::string path = folder.write(
        "ds_config.json", R"({"train_batch_size": 24, "train_micro_batch_size_per_gpu": 2})");
    zp::export_environment({.rank = 1, .world_size = 4});
    const auto micro_steps = [](auto, auto, const auto&, const auto&, auto, zp::Accumulation given,
                                auto...) { return given.steps; };
    CHECK(zp::with_config(path.c_str(), micro_steps) == 3);
    for (const char* name : {"RANK", "LOCAL_RANK", "WORLD_SIZE"}) unsetenv(name);
    CHECK(zp::with_config(path, micro_steps) == 12);
}

TEST_CASE("the guide's fp16 block is a policy", "[dispatch]") {
    const zp::Config config = parsed(R"({"train_batch_size": 1, "fp16": {"enabled": true,
      "initial_scale_power": 8, "loss_scale_window": 500, "hysteresis": 3, "min_loss_scale": 2,
      "consecutive_hysteresis": true}})");
    CHECK(zp::precision_of(config) == zp::DType::fp16);
    const zp::LossScale scale = zp::loss_scale_of(config);
    CHECK(scale.loss_scale == 0);
    CHECK(scale.initial_scale_power == 8);
    CHECK(scale.loss_scale_window == 500);
    CHECK(scale.hysteresis == 3);
    CHECK(scale.consecutive_hysteresis);
    CHECK(scale.min_loss_scale == 2);
}

TEST_CASE("every type of optimizer does what its policy does", "[dispatch]") {
    CHECK(updated_by(R"({"type": "Adam", "params": {"lr": 0.1, "weight_decay": 0.5}})") ==
          updated(zp::AdamW{.lr = 0.1f, .weight_decay = 0.5f}));
    CHECK(
        updated_by(
            R"({"type": "Adam", "params": {"lr": 0.1, "weight_decay": 0.5, "adam_w_mode": false}})") ==
        updated(zp::Adam{.lr = 0.1f, .weight_decay = 0.5f}));
    CHECK(updated_by(R"({"type": "AdamW", "params": {"lr": 0.1, "bias_correction": false}})") ==
          updated(zp::AdamW{.lr = 0.1f, .weight_decay = 0, .bias_correction = false}));
    CHECK(
        updated_by(
            R"({"type": "lamb", "params": {"lr": 0.1, "weight_decay": 0.5, "max_coeff": 2, "min_coeff": 0.5}})") ==
        updated(zp::Lamb{.lr = 0.1f, .weight_decay = 0.5f, .max_coeff = 2, .min_coeff = 0.5f}));
    CHECK(updated_by(R"({"type": "Lion", "params": {"lr": 0.1, "betas": [0.5, 0.75]}})") ==
          updated(zp::Lion{.lr = 0.1f, .beta1 = 0.5f, .beta2 = 0.75}));
    CHECK(updated_by(R"({"type": "Adagrad", "params": {"lr": 0.1, "lr_decay": 0.5}})") ==
          updated(zp::Adagrad{.lr = 0.1f, .lr_decay = 0.5f}));
    CHECK(updated_by(R"({"type": "SGD", "params": {"lr": 0.1, "weight_decay": 0.5}})") ==
          updated(zp::Sgd{.lr = 0.1f, .weight_decay = 0.5f}));
    CHECK(updated_by(
              R"({"type": "SGD", "params": {"lr": 0.1, "momentum": 0.5, "nesterov": true}})") ==
          updated(zp::MomentumSgd{.lr = 0.1f, .momentum = 0.5f, .nesterov = true}));
    CHECK(updated_by(R"({"type": "Adafactor"})") == updated(zp::Adafactor{}));
    CHECK(updated_by(R"({"type": "Adafactor", "params": {"lr": 0.1, "scale_parameter": false}})") ==
          updated(zp::Adafactor{.lr = 0.1f, .scale_parameter = false, .relative_step = false}));
}

TEST_CASE("every type of scheduler gives what its policy gives", "[dispatch]") {
    const auto same = [](const std::string& scheduler, auto schedule) {
        const zp::AnySchedule given = zp::schedule_of(parsed("{\"scheduler\": " + scheduler + "}"));
        for (const std::int64_t step : {1, 2, 3, 5, 8, 13, 40}) {
            const zp::Rates base{.lr = 0.01f, .momentum = 0.9f};
            INFO(scheduler << ", step " << step);
            CHECK(given(step, base).lr == schedule(step, base).lr);
            CHECK(given(step, base).momentum == schedule(step, base).momentum);
        }
    };
    same(R"({"type": "WarmupLR", "params": {"warmup_num_steps": 7, "warmup_min_lr": 1e-3}})",
         zp::WarmupLR{.min_lr = 1e-3f, .steps = 7});
    same(R"({"type": "WarmupDecayLR", "params": {"total_num_steps": 20, "warmup_num_steps": 4}})",
         zp::WarmupDecayLR{.total = 20, .steps = 4});
    same(
        R"({"type": "WarmupCosineLR", "params": {"total_num_steps": 20, "warmup_num_steps": 4, "cos_min_ratio": 0.1}})",
        zp::WarmupCosineLR{.total = 20, .steps = 4, .floor_ratio = 0.1f});
    same(
        R"({"type": "LRRangeTest", "params": {"lr_range_test_step_size": 3, "lr_range_test_staircase": true}})",
        zp::LRRangeTest{.steps = 3, .staircase = true});
    same(
        R"({"type": "OneCycle", "params": {"cycle_min_lr": 0.001, "cycle_max_lr": 0.1, "cycle_first_step_size": 5}})",
        zp::OneCycle{.min_lr = 0.001f, .max_lr = 0.1f, .first_steps = 5});
}

TEST_CASE("a type of data that the model does not have is refused", "[dispatch]") {
    CHECK_THROWS_WITH(
        zp::gradients_of(parsed(R"({"communication_data_type": "fp16"})")),
        "zeropp: ds_config.json: communication_data_type is \"fp16\", expected \"fp32\": the "
        "model is in fp32");
    CHECK_NOTHROW(zp::gradients_of(
        parsed(R"({"communication_data_type": "fp32", "bf16": {"enabled": true}})")));
    CHECK(zp::optimizer_states_of(parsed(R"({"bf16": {"enabled": true,
      "bf16_optimizer_states": true}})"))
              .format == zp::SlotFormat::bfloat16);
    CHECK(zp::recompute_of(
        parsed(R"({"activation_checkpointing": {"partition_activations": true}})")));
    CHECK_FALSE(zp::recompute_of(parsed(R"({"activation_checkpointing": {"profile": true}})")));
}

TEST_CASE("elasticity gives DeepSpeed's batches", "[dispatch]") {
    // From DeepSpeed 0.19.6's elasticity.py: the batch, how many numbers of ranks, the first ones.
    const zp::ElasticBatch first = zp::elastic_batch({2, 4, 6}, 2000, 1, 10'000);
    CHECK(first.train == 1680);
    CHECK(first.ranks.size() == 32);
    CHECK(first.ranks[11] == 15);
    CHECK(first.ranks.back() == 840);
    const zp::ElasticBatch second = zp::elastic_batch({8, 12, 16, 17}, 10'000, 32, 1500);
    CHECK(second.train == 9792);
    CHECK(second.ranks.size() == 23);
    CHECK(second.ranks.front() == 32);
    CHECK(second.ranks.back() == 1224);
    CHECK(zp::elastic_batch({2}, 8, 1, 8).ranks == std::vector<std::int64_t>{1, 2, 4});

    const std::string elastic =
        R"("elasticity": {"enabled": true, "max_train_batch_size": 2000, "micro_batch_sizes": [2, 4, 6], "version": 0.1})";
    CHECK(values(zp::batch_sizes(parsed("{" + elastic + "}"), 8)) == Values{1680, 6, 35});
    CHECK_THROWS_WITH(
        zp::batch_sizes(parsed("{" + elastic + "}"), 11),
        "zeropp: ds_config.json: elasticity gives batches of 1680 on 11 ranks, expected one of 1, "
        "2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 15 ... ranks");
    CHECK_THROWS_WITH(zp::batch_sizes(parsed("{\"train_batch_size\": 8, " + elastic + "}"), 8),
                      "zeropp: ds_config.json: train_batch_size is 8, expected none: "
                      "elasticity.enabled is true and decides it; or set "
                      "elasticity.ignore_non_elastic_batch_info");
}
