// SPDX-License-Identifier: Apache-2.0
/// \file Tests of `Config`: the DeepSpeed guide's own blocks, and what is refused.
#include <zeropp/io/config_file.hpp>

#include "support/catch.hpp"

namespace zp = zeropp;

namespace {

zp::Config parsed(const std::string& text) { return zp::parse_config(text, "ds_config.json"); }

/// The message of refusing `text`, without "zeropp: ds_config.json: ".
std::string refusal(const std::string& text) {
    try {
        zp::require_supported(parsed(text));
    } catch (const zp::Error& error) {
        const std::string what = error.what(), begin = "zeropp: ds_config.json: ";
        CHECK(error.code() == zp::Errc::config);
        CHECK(what.substr(0, begin.size()) == begin);
        return what.substr(begin.size());
    }
    return "accepted";
}

}  // namespace

TEST_CASE("the guide's basic block is read", "[config]") {
    const zp::Config config = parsed(R"({
      "train_batch_size": 128,
      "train_micro_batch_size_per_gpu": 16,
      "gradient_accumulation_steps": 8,
      "steps_per_print": 100
    })");
    CHECK(config.train_batch_size.value == 128);
    CHECK(config.train_micro_batch_size_per_gpu.value == 16);
    CHECK(config.gradient_accumulation_steps.value == 8);
    CHECK(config.steps_per_print.value == 100);
    CHECK(config.train_batch_size.origin == "ds_config.json: train_batch_size");
    CHECK_FALSE(config.gradient_clipping.given());
}

TEST_CASE("the guide's ZeRO block is read, 5e8 as an integer", "[config]") {
    const zp::Config config = parsed(R"({
      "zero_optimization": {
        "stage": 2,
        "allgather_partitions": true,
        "allgather_bucket_size": 5e8,
        "overlap_comm": true,
        "reduce_scatter": true,
        "reduce_bucket_size": 5e8,
        "contiguous_gradients": true,
        "cpu_offload": false
      }
    })");
    CHECK(config.zero_optimization.stage.value == 2);
    CHECK(config.zero_optimization.allgather_bucket_size.value == 500'000'000);
    CHECK(config.zero_optimization.reduce_bucket_size.value == 500'000'000);
    CHECK_NOTHROW(zp::require_supported(config));
}

TEST_CASE("the guide's fp16 block is read", "[config]") {
    const std::string text = R"({
      "fp16": {
        "enabled": true,
        "loss_scale": 0,
        "loss_scale_window": 1000,
        "hysteresis": 2,
        "min_loss_scale": 1
      }
    })";
    const zp::Config config = parsed(text);
    CHECK(config.fp16.enabled.value == true);
    CHECK(config.fp16.loss_scale.value == 0);
    CHECK(config.fp16.loss_scale_window.value == 1000);
    CHECK(config.fp16.hysteresis.value == 2);
    CHECK(config.fp16.min_loss_scale.value == 1);
    CHECK(refusal(text) == "accepted");
    for (const zp::ConfigEntry& key : config.keys) CHECK(key.fate == zp::Fate::honoured);
}

TEST_CASE("\"auto\" leaves a setting to the program, older forms are read", "[config]") {
    const zp::Config config = parsed(R"({
      "train_batch_size": "auto", "fp16": {"enabled": "auto"}, "bfloat16": {"enabled": true},
      "zero_optimization": true})");
    CHECK(config.train_batch_size.automatic);
    CHECK_FALSE(config.train_batch_size.given());
    CHECK(config.fp16.enabled.automatic);
    CHECK(config.bf16.value == true);
    CHECK(config.zero_optimization.stage.value == 1);
    CHECK(refusal(R"({"optimizer": {"type": "SGD", "params": {"dampening": "auto"}}})") ==
          "optimizer.params.dampening is \"auto\", expected a number from 0 to 1");
}

TEST_CASE("the guide's T5 dictionary is read", "[config]") {
    const zp::Config config = parsed(R"({
      "train_micro_batch_size_per_gpu": 2,
      "gradient_accumulation_steps": 1,
      "optimizer": {
        "type": "AdamW",
        "params": {"lr": 3e-4, "betas": [0.9, 0.95], "eps": 1e-8, "weight_decay": 0.1}
      },
      "bf16": {"enabled": true},
      "zero_optimization": {
        "stage": 2,
        "allgather_partitions": true,
        "allgather_bucket_size": 5e8,
        "overlap_comm": true,
        "reduce_scatter": true,
        "reduce_bucket_size": 5e8,
        "contiguous_gradients": true
      }
    })");
    CHECK(config.optimizer.type.value == "AdamW");
    CHECK(config.optimizer.lr.value == 3e-4);
    CHECK(config.optimizer.betas.value == std::array{0.9, 0.95});
    CHECK(config.optimizer.eps.value == 1e-8);
    CHECK(config.optimizer.weight_decay.value == 0.1);
    CHECK(config.bf16.value == true);
}

TEST_CASE("names of types are read in any case", "[config]") {
    CHECK(parsed(R"({"optimizer": {"type": "adamw"}})").optimizer.type.value == "AdamW");
    CHECK(parsed(R"({"optimizer": {"type": "ADAM"}})").optimizer.type.value == "Adam");
}

TEST_CASE("text that is no JSON, or says a key twice, is refused with its place", "[config]") {
    CHECK(refusal("{\"zero_optimization\": {\"stage\": 1, \"stage\": 2}}") ==
          "zero_optimization.stage is given twice, expected once");
    CHECK(refusal("{\n  \"bf16\": {\n") ==
          "line 3, column 1: syntax error while parsing object key - unexpected end of input; "
          "expected string literal");
    CHECK(refusal("") == "is empty, expected JSON");
}

TEST_CASE("a file and a flag that differ are both named", "[config]") {
    zp::Config config = parsed(R"({"zero_optimization": {"stage": 2}})");
    auto& stage = config.zero_optimization.stage;
    CHECK_NOTHROW(zp::merge(stage, std::int64_t{2}, "--zero"));
    CHECK_THROWS_WITH(zp::merge(stage, std::int64_t{3}, "--zero"),
                      "zeropp: ds_config.json: zero_optimization.stage is 2, expected --zero's 3; "
                      "give one of the two, or the same value");
    CHECK_NOTHROW(zp::merge(config.bf16, true, "--dtype"));
    CHECK(config.bf16.origin == "--dtype");
}
