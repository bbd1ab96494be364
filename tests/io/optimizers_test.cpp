// SPDX-License-Identifier: Apache-2.0
/// \file Every optimizer and schedule of the table reaches its rule with the file's numbers.
#include <bit>
#include <cstdint>
#include <string>
#include <vector>

#include <zeropp/format/json.hpp>
#include <zeropp/io/config_file.hpp>
#include <zeropp/io/optimizers.hpp>
#include <zeropp/io/schedules.hpp>

#include "support/catch.hpp"
#include "support/golden.hpp"

namespace zp = zeropp;

namespace {

zp::Config parsed(const std::string& text) { return zp::parse_config(text, "ds_config.json"); }

zp::AnyOptimizer optimizer_of(const std::string& type, const std::string& params) {
    return zp::optimizer_of(
        parsed(R"({"optimizer": {"type": ")" + type + R"(", "params": {)" + params + "}}}"));
}

/// A matrix's parameters after three steps, as bits.
std::vector<std::uint32_t> trained(const zp::AnyOptimizer& optimizer) {
    optimizer.check();
    constexpr std::size_t rows = 3, columns = 5, size = rows * columns;
    const auto rule = optimizer.make_rule({});
    zp::Tensor2d tensor{.rows = rows, .columns = columns};
    std::vector<float> kept(rule->kept(tensor)), parameters, gradients(size);
    tensor.kept = kept;
    for (std::size_t i = 0; i < size; ++i)
        parameters.push_back(0.3f * static_cast<float>(i % 7) - 0.8f);
    std::vector<std::vector<float>> slots(rule->slots().size(), std::vector<float>(size));
    for (std::int64_t step = 1; step <= 3; ++step) {
        for (std::size_t i = 0; i < size; ++i)
            gradients[i] =
                0.1f * static_cast<float>((i * 5 + static_cast<std::size_t>(step)) % 11) - 0.45f;
        zp::TensorPiece piece{
            .count = size, .parameters = parameters.data(), .gradients = gradients.data()};
        for (std::size_t s = 0; s < slots.size(); ++s) piece.slots[s] = slots[s].data();
        rule->begin({.index = step, .rates = rule->rates()});
        std::vector<double> sums;
        for (std::size_t round = 0; round < rule->rounds(); ++round) {
            std::vector<double> part(rule->sums(round, tensor));
            rule->measure(round, tensor, piece, part);
            sums.insert(sums.end(), part.begin(), part.end());
            tensor.sums = sums;
            rule->combine(round, tensor);
        }
        rule->update(tensor, piece);
    }
    std::vector<std::uint32_t> bits;
    for (const float each : parameters) bits.push_back(std::bit_cast<std::uint32_t>(each));
    return bits;
}

struct Case {
    std::string type, params;
    zp::AnyOptimizer expected;
    std::string name;
};

zp::Adafactor adafactor(auto change) {
    zp::Adafactor optimizer;
    change(optimizer);
    return optimizer;
}

}  // namespace

TEST_CASE("each type has its rule, with DeepSpeed's defaults") {
    const Case cases[] = {
        {"Adam", "",
         zp::AdamW{.lr = 1e-3f, .beta1 = 0.9f, .beta2 = 0.999, .eps = 1e-8f, .weight_decay = 0},
         "adamw"},
        {"AdamW", "",
         zp::AdamW{.lr = 1e-3f, .beta1 = 0.9f, .beta2 = 0.999, .eps = 1e-8f, .weight_decay = 0},
         "adamw"},
        {"Lamb", "",
         zp::Lamb{.lr = 1e-3f,
                  .beta1 = 0.9f,
                  .beta2 = 0.999,
                  .eps = 1e-8f,
                  .weight_decay = 0,
                  .max_coeff = 10,
                  .min_coeff = 0.01f},
         "lamb"},
        {"Lion", "", zp::Lion{.lr = 1e-3f, .beta1 = 0.9f, .beta2 = 0.999, .weight_decay = 0},
         "lion"},
        {"Adagrad", "", zp::Adagrad{.lr = 1e-2f, .lr_decay = 0, .eps = 1e-10f, .weight_decay = 0},
         "adagrad"},
        {"SGD", "", zp::Sgd{.lr = 1e-3f, .weight_decay = 0}, "sgd"},
        {"Adafactor", "", zp::Adafactor{}, "adafactor"},
    };
    std::size_t types = 0;
    zp::detail::for_each_word(zp::schema::optimizers, [&](std::string_view) { ++types; });
    CHECK(std::size(cases) == types);
    for (const Case& each : cases) {
        INFO(each.type);
        CHECK(optimizer_of(each.type, "").make_rule({})->name() == each.name);
        CHECK(trained(optimizer_of(each.type, "")) == trained(each.expected));
    }
    CHECK(zp::optimizer_of(parsed("{}")).make_rule({})->name() == "adamw");
}

TEST_CASE("each parameter of each optimizer is heeded") {
    const zp::AdamW adamw{.lr = 1e-3f, .eps = 1e-8f, .weight_decay = 0};
    const auto with = [](auto optimizer, auto member, auto value) {
        optimizer.*member = value;
        return zp::AnyOptimizer{optimizer};
    };
    const zp::Lamb lamb{.lr = 1e-3f, .eps = 1e-8f, .weight_decay = 0};
    const zp::Lion lion{.lr = 1e-3f, .beta1 = 0.9f, .beta2 = 0.999, .weight_decay = 0};
    const zp::Adagrad adagrad{.lr = 1e-2f, .eps = 1e-10f, .weight_decay = 0};
    const zp::Sgd sgd{.lr = 1e-3f, .weight_decay = 0};
    const zp::MomentumSgd momentum{.lr = 1e-3f, .momentum = 0.7f, .weight_decay = 0};
    const Case cases[] = {
        {"AdamW", R"("lr": 0.02)", with(adamw, &zp::AdamW::lr, 0.02f), "adamw"},
        {"AdamW", R"("betas": [0.7, 0.999])", with(adamw, &zp::AdamW::beta1, 0.7f), "adamw"},
        {"AdamW", R"("betas": [0.9, 0.8])", with(adamw, &zp::AdamW::beta2, 0.8), "adamw"},
        {"AdamW", R"("eps": 0.1)", with(adamw, &zp::AdamW::eps, 0.1f), "adamw"},
        {"AdamW", R"("weight_decay": 0.3)", with(adamw, &zp::AdamW::weight_decay, 0.3f), "adamw"},
        {"AdamW", R"("bias_correction": false)", with(adamw, &zp::AdamW::bias_correction, false),
         "adamw"},
        {"Adam", R"("adam_w_mode": false, "weight_decay": 0.3)",
         zp::Adam{.lr = 1e-3f, .eps = 1e-8f, .weight_decay = 0.3f}, "adam"},
        {"Lamb", R"("lr": 0.02)", with(lamb, &zp::Lamb::lr, 0.02f), "lamb"},
        {"Lamb", R"("betas": [0.7, 0.999])", with(lamb, &zp::Lamb::beta1, 0.7f), "lamb"},
        {"Lamb", R"("betas": [0.9, 0.8])", with(lamb, &zp::Lamb::beta2, 0.8), "lamb"},
        {"Lamb", R"("eps": 0.1)", with(lamb, &zp::Lamb::eps, 0.1f), "lamb"},
        {"Lamb", R"("eps": 0.1, "eps_inside_sqrt": true)",
         zp::Lamb{.lr = 1e-3f, .eps = 0.1f, .weight_decay = 0, .eps_inside_sqrt = true}, "lamb"},
        {"Lamb", R"("weight_decay": 0.3)", with(lamb, &zp::Lamb::weight_decay, 0.3f), "lamb"},
        {"Lamb", R"("max_coeff": 0.05)", with(lamb, &zp::Lamb::max_coeff, 0.05f), "lamb"},
        {"Lamb", R"("min_coeff": 5)", with(lamb, &zp::Lamb::min_coeff, 5.0f), "lamb"},
        {"Lamb", R"("bias_correction": false)", with(lamb, &zp::Lamb::bias_correction, false),
         "lamb"},
        {"Lion", R"("lr": 0.02)", with(lion, &zp::Lion::lr, 0.02f), "lion"},
        {"Lion", R"("betas": [0.999, 0.999])", with(lion, &zp::Lion::beta1, 0.999f), "lion"},
        {"Lion", R"("betas": [0.9, 0.1])", with(lion, &zp::Lion::beta2, 0.1), "lion"},
        {"Lion", R"("weight_decay": 0.3)", with(lion, &zp::Lion::weight_decay, 0.3f), "lion"},
        {"Adagrad", R"("lr": 0.02)", with(adagrad, &zp::Adagrad::lr, 0.02f), "adagrad"},
        {"Adagrad", R"("lr_decay": 0.5)", with(adagrad, &zp::Adagrad::lr_decay, 0.5f), "adagrad"},
        {"Adagrad", R"("eps": 0.1)", with(adagrad, &zp::Adagrad::eps, 0.1f), "adagrad"},
        {"Adagrad", R"("weight_decay": 0.3)", with(adagrad, &zp::Adagrad::weight_decay, 0.3f),
         "adagrad"},
        {"Adagrad", R"("maximize": true)", with(adagrad, &zp::Adagrad::maximize, true), "adagrad"},
        {"SGD", R"("lr": 0.02)", with(sgd, &zp::Sgd::lr, 0.02f), "sgd"},
        {"SGD", R"("weight_decay": 0.3)", with(sgd, &zp::Sgd::weight_decay, 0.3f), "sgd"},
        {"SGD", R"("maximize": true)", with(sgd, &zp::Sgd::maximize, true), "sgd"},
        {"SGD", R"("momentum": 0.7)", momentum, "momentum_sgd"},
        {"SGD", R"("momentum": 0.7, "lr": 0.02)", with(momentum, &zp::MomentumSgd::lr, 0.02f),
         "momentum_sgd"},
        {"SGD", R"("momentum": 0.7, "dampening": 0.5)",
         with(momentum, &zp::MomentumSgd::dampening, 0.5f), "momentum_sgd"},
        {"SGD", R"("momentum": 0.7, "nesterov": true)",
         with(momentum, &zp::MomentumSgd::nesterov, true), "momentum_sgd"},
        {"SGD", R"("momentum": 0.7, "weight_decay": 0.3)",
         with(momentum, &zp::MomentumSgd::weight_decay, 0.3f), "momentum_sgd"},
        {"SGD", R"("momentum": 0.7, "maximize": true)",
         with(momentum, &zp::MomentumSgd::maximize, true), "momentum_sgd"},
        {"Adafactor", R"("lr": 0.02)", adafactor([](auto& o) {
             o.lr = 0.02f;
             o.relative_step = false;
         }),
         "adafactor"},
        {"Adafactor", R"("eps": [0.1, 1e-3])", adafactor([](auto& o) { o.eps = 0.1f; }),
         "adafactor"},
        {"Adafactor", R"("eps": [1e-30, 2])", adafactor([](auto& o) { o.eps_scale = 2; }),
         "adafactor"},
        {"Adafactor", R"("clip_threshold": 0.1)",
         adafactor([](auto& o) { o.clip_threshold = 0.1f; }), "adafactor"},
        {"Adafactor", R"("decay_rate": -0.3)", adafactor([](auto& o) { o.decay_rate = -0.3f; }),
         "adafactor"},
        {"Adafactor", R"("beta1": 0.5)", adafactor([](auto& o) { o.beta1 = 0.5f; }), "adafactor"},
        {"Adafactor", R"("weight_decay": 0.3)", adafactor([](auto& o) { o.weight_decay = 0.3f; }),
         "adafactor"},
        {"Adafactor", R"("scale_parameter": false)",
         adafactor([](auto& o) { o.scale_parameter = false; }), "adafactor"},
        {"Adafactor", R"("warmup_init": true)", adafactor([](auto& o) { o.warmup_init = true; }),
         "adafactor"},
    };
    for (const Case& each : cases) {
        INFO(each.type << " with " << each.params);
        const zp::AnyOptimizer optimizer = optimizer_of(each.type, each.params);
        CHECK(optimizer.make_rule({})->name() == each.name);
        CHECK(trained(optimizer) == trained(each.expected));
        CHECK(trained(optimizer) != trained(optimizer_of(each.type, "")));
    }
}

TEST_CASE("AdamW is AdamW whatever adam_w_mode says, as in DeepSpeed") {
    const char* const params = R"("adam_w_mode": false, "weight_decay": 0.3)";
    CHECK(optimizer_of("AdamW", params).make_rule({})->name() == "adamw");
    CHECK(optimizer_of("Adam", params).make_rule({})->name() == "adam");
    CHECK(optimizer_of("Adam", R"("adam_w_mode": true)").make_rule({})->name() == "adamw");
}

TEST_CASE("OneCycle that cycles the momentum holds beta2 at 0.99, as in DeepSpeed") {
    const auto with_cycle = [](const char* momentum) {
        return zp::optimizer_of(
            parsed(std::string{R"({"optimizer": {"type": "AdamW", "params": {"lr": 0.01}},
                            "scheduler": {"type": "OneCycle", "params": {
                              "cycle_min_lr": 0.001, "cycle_max_lr": 0.01, "cycle_momentum": )"} +
                   momentum + "}}}"));
    };
    const zp::AdamW held{.lr = 0.01f, .beta2 = 0.99, .eps = 1e-8f, .weight_decay = 0};
    CHECK(trained(with_cycle("true")) == trained(held));
    CHECK(trained(with_cycle("false")) == trained(optimizer_of("AdamW", R"("lr": 0.01)")));
}

TEST_CASE("schedules of a file are DeepSpeed's, step for step") {
    const zp::Json golden = zp::read_json(zp::testing::golden("optim/deepspeed_schedules.json"));
    std::string kinds;
    for (const auto& [name, given] : golden["cases"].items()) {
        const zp::Json file = {
            {"optimizer", {{"type", "AdamW"}, {"params", {{"lr", given["lr"]}}}}},
            {"scheduler", {{"type", given["kind"]}, {"params", given["params"]}}}};
        const zp::AnySchedule schedule = zp::schedule_of(parsed(file.dump()));
        const zp::Rates base{.lr = given["lr"], .momentum = 0.9f};
        for (std::size_t i = 0; i < given["trace"].size(); ++i) {
            INFO(name << ", step " << i + 1);
            const zp::Rates rates = schedule(static_cast<std::int64_t>(i) + 1, base);
            // One rounding of a parameter of the schedule to fp32, and one of the result.
            const auto rounded = [](double value) {
                return Approx(value).epsilon(2e-7).margin(1e-12);
            };
            CHECK(rates.lr == rounded(given["trace"][i][0]));
            CHECK(rates.momentum == rounded(given["trace"][i][1]));
        }
        kinds += given["kind"].get<std::string>() + "|";
    }
    zp::detail::for_each_word(zp::find_config_key("scheduler.type")->choices,
                              [&](std::string_view kind) {
                                  INFO(kind);
                                  CHECK_FALSE(zp::detail::word_in(kinds, kind).empty());
                              });
}

TEST_CASE("what a schedule leaves to the program") {
    const auto schedule = [](const std::string& type, const std::string& params) {
        return zp::schedule_of(
            parsed(R"({"scheduler": {"type": ")" + type + R"(", "params": {)" + params + "}}}"));
    };
    // "auto" is the optimizer's rate, which an absent key of WarmupDecayLR is not.
    const std::string decay = R"("total_num_steps": 100, "warmup_num_steps": 2)";
    CHECK(schedule("WarmupDecayLR", decay + R"(, "warmup_max_lr": "auto")")(4, {.lr = 0.5f}).lr ==
          0.5f);
    CHECK(schedule("WarmupDecayLR", decay)(4, {.lr = 0.5f}).lr == 1e-3f);
    CHECK(schedule("WarmupLR", R"("warmup_num_steps": 2)")(9, {.lr = 0.5f}).lr == 0.5f);
    CHECK_THROWS_WITH(schedule("WarmupCosineLR", R"("total_num_steps": "auto")"),
                      "zeropp: ds_config.json: scheduler.params.total_num_steps is \"auto\", "
                      "expected an integer, or a program that knows it");
    CHECK(schedule("OneCycle", R"("cycle_min_lr": 0.1, "cycle_max_lr": 0.2)")(
              1, {.lr = 0.5f, .momentum = 0.9f})
              .momentum == 0.8f);
}

TEST_CASE("a momentum cycles only where the optimizer has betas, as in DeepSpeed") {
    for (const char* type : {"Adagrad", "SGD"}) {
        INFO(type);
        const zp::AnySchedule schedule =
            zp::schedule_of(parsed(std::string{R"({"optimizer": {"type": ")"} + type +
                                   R"("}, "scheduler": {"type": "OneCycle",
                "params": {"cycle_min_lr": 0.1, "cycle_max_lr": 0.2}}})"));
        CHECK(schedule(1, {.lr = 0.5f, .momentum = 0.3f}).momentum == 0.3f);
    }
}

TEST_CASE("an optimizer that is not supported is not replaced by another") {
    CHECK_THROWS_WITH(optimizer_of("Muon", ""),
                      "zeropp: ds_config.json: optimizer.type is \"Muon\", expected \"Adam\", "
                      "\"AdamW\", \"Lamb\", \"Lion\", \"Adagrad\", \"SGD\" or \"Adafactor\"");
}

TEST_CASE("types of optimizers are read in any case") {
    CHECK(zp::optimizer_type("ADAFACTOR") == "Adafactor");
    CHECK_THROWS_WITH(zp::optimizer_type("adan"),
                      "zeropp: optimizer 'adan' is unknown, expected \"Adam\", \"AdamW\", "
                      "\"Lamb\", \"Lion\", \"Adagrad\", \"SGD\" or \"Adafactor\"");
    CHECK_THROWS_WITH(zp::optimizer_type("muon"),
                      "zeropp: optimizer 'muon' is not supported, expected \"Adam\", \"AdamW\", "
                      "\"Lamb\", \"Lion\", \"Adagrad\", \"SGD\" or \"Adafactor\"; Muon "
                      "orthogonalises whole matrices, which shards of equal size cut");
}
