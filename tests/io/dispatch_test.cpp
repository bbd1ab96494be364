// SPDX-License-Identifier: Apache-2.0
/// \file Tests of the bridge from a configuration to policies, and of DeepSpeed's batch rule.
#include <optional>
#include <type_traits>

#include <zeropp/io/dispatch.hpp>

#include "support/catch.hpp"

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

TEST_CASE("precision, stage and optimizer become types, the rest values", "[dispatch]") {
    const zp::Config config = parsed(R"({
      "train_batch_size": 16, "gradient_accumulation_steps": 2, "gradient_clipping": 0.5,
      "optimizer": {"type": "AdamW", "params": {"lr": 3e-4, "betas": [0.8, 0.95], "eps": 1e-6,
                                                "weight_decay": 0.1}},
      "bf16": {"enabled": true},
      "zero_optimization": {"stage": 3, "reduce_bucket_size": 1000}
    })");
    bool called = false;
    zp::with_config(config, 2,
                    [&](auto precision, auto stage, auto optimizer, zp::ClipNorm clip,
                        zp::Accumulation accumulation, zp::Buckets buckets) {
                        called = true;
                        CHECK(std::is_same_v<decltype(precision), zp::Precision<zp::Bf16>>);
                        CHECK(decltype(stage)::number == 3);
                        CHECK(std::is_same_v<decltype(optimizer), zp::AdamW>);
                        CHECK(optimizer.lr == 3e-4f);
                        CHECK(optimizer.beta1 == 0.8f);
                        CHECK(optimizer.beta2 == 0.95);
                        CHECK(optimizer.eps == 1e-6f);
                        CHECK(optimizer.weight_decay == 0.1f);
                        CHECK(clip.max_norm == 0.5f);
                        CHECK(accumulation.steps == 2);
                        CHECK(buckets.elements == 1000);
                    });
    CHECK(called);
}

TEST_CASE("an empty file gives DeepSpeed's defaults", "[dispatch]") {
    const zp::Config config = parsed(R"({"train_batch_size": 1})");
    zp::with_config(config, 1,
                    [&](auto precision, auto stage, auto optimizer, zp::ClipNorm clip,
                        zp::Accumulation accumulation, zp::Buckets buckets) {
                        CHECK(std::is_same_v<decltype(precision), zp::Precision<float>>);
                        CHECK(decltype(stage)::number == 0);
                        CHECK(optimizer.lr == 1e-3f);
                        CHECK(optimizer.weight_decay == 0.0f);
                        CHECK(clip.max_norm == 1.0f);
                        CHECK(accumulation.steps == 1);
                        CHECK(buckets.elements == zp::Buckets{}.elements);
                    });
}

TEST_CASE("Adam is AdamW", "[dispatch]") {
    const auto name = [](const char* text) {
        return zp::with_optimizer(
            parsed(text), [](auto optimizer) { return std::string{decltype(optimizer)::name}; });
    };
    CHECK(name(R"({"optimizer": {"type": "Adam"}})") == "adamw");
    CHECK(name(R"({"optimizer": {"type": "AdamW"}})") == "adamw");
}
