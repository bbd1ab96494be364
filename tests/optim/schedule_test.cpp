// SPDX-License-Identifier: Apache-2.0
/// \file Schedules against DeepSpeed's and transformers' (tests/golden/schedules.py).
#include <fstream>
#include <optional>
#include <string>

#include <nlohmann/json.hpp>

#include <zeropp/optim/schedule.hpp>

#include "support/catch.hpp"
#include "support/golden.hpp"

using namespace zeropp;

namespace {

using Json = nlohmann::json;

Json read(const char* name) {
    std::ifstream file{testing::golden(name)};
    return Json::parse(file).at("cases");
}

template <class T>
std::optional<T> maybe(const Json& params, const char* key) {
    return params.contains(key) ? std::optional{params[key].get<T>()} : std::nullopt;
}

WarmupShape shape_of(const Json& params) {
    return params.value("warmup_type", "log") == "linear" ? WarmupShape::linear : WarmupShape::log;
}

template <class S>
AnySchedule checked(const S& schedule) {
    schedule.check();
    return schedule;
}

AnySchedule from_deepspeed(const std::string& kind, const Json& p) {
    if (kind == "WarmupLR")
        return checked(WarmupLR{.min_lr = p.value("warmup_min_lr", 0.0f),
                                .max_lr = maybe<float>(p, "warmup_max_lr"),
                                .steps = p["warmup_num_steps"],
                                .shape = shape_of(p)});
    if (kind == "WarmupDecayLR")
        return checked(WarmupDecayLR{.total = p["total_num_steps"],
                                     .min_lr = p.value("warmup_min_lr", 0.0f),
                                     .max_lr = maybe<float>(p, "warmup_max_lr"),
                                     .steps = p["warmup_num_steps"],
                                     .shape = shape_of(p)});
    if (kind == "WarmupCosineLR")
        return checked(WarmupCosineLR{.total = p["total_num_steps"],
                                      .min_ratio = p.value("warmup_min_ratio", 0.0f),
                                      .steps = p["warmup_num_steps"],
                                      .floor_ratio = p.value("cos_min_ratio", 1e-4f),
                                      .shape = shape_of(p)});
    if (kind == "LRRangeTest")
        return checked(LRRangeTest{.min_lr = p["lr_range_test_min_lr"],
                                   .steps = p["lr_range_test_step_size"],
                                   .rate = p["lr_range_test_step_rate"],
                                   .staircase = p.value("lr_range_test_staircase", false)});
    REQUIRE(kind == "OneCycle");
    return checked(OneCycle{.min_lr = p["cycle_min_lr"],
                            .max_lr = p["cycle_max_lr"],
                            .first_steps = p["cycle_first_step_size"],
                            .second_steps = maybe<std::int64_t>(p, "cycle_second_step_size"),
                            .first_stairs = p.value("cycle_first_stair_count", std::int64_t{0}),
                            .second_stairs = maybe<std::int64_t>(p, "cycle_second_stair_count"),
                            .decay_steps = p.value("decay_step_size", std::int64_t{0}),
                            .decay_lr_rate = p.value("decay_lr_rate", 0.0f),
                            .cycle_momentum = p.value("cycle_momentum", true),
                            .min_momentum = p.value("cycle_min_mom", 0.8f),
                            .max_momentum = p.value("cycle_max_mom", 0.9f),
                            .decay_momentum_rate = p.value("decay_mom_rate", 0.0f)});
}

/// One rounding of a parameter of the schedule to fp32, and one of the result.
Approx rounded(double value) { return Approx(value).epsilon(2e-7).margin(1e-12); }

template <class S>
std::string refusal(const S& schedule) {
    try {
        schedule.check();
    } catch (const Error& error) {
        CHECK(error.code() == Errc::config);
        return error.what();
    }
    return "";
}

}  // namespace

TEST_CASE("DeepSpeed's schedules, from the first optimizer step on") {
    const Json cases = read("optim/deepspeed_schedules.json");
    for (const auto& [name, given] : cases.items()) {
        const AnySchedule schedule = from_deepspeed(given["kind"], given["params"]);
        const Rates base{.lr = given["lr"], .momentum = 0.9f};
        for (std::size_t i = 0; i < given["trace"].size(); ++i) {
            const Rates rates = schedule(static_cast<std::int64_t>(i) + 1, base);
            INFO(name << ", step " << i + 1);
            CHECK(rates.lr == rounded(given["trace"][i][0]));
            CHECK(rates.momentum == rounded(given["trace"][i][1]));
        }
    }
}

TEST_CASE("step n of cosine, inverse square root and polynomial is transformers' current_step n") {
    const Json cases = read("optim/transformers_schedules.json");
    const auto follows = [&](const char* name, const AnySchedule& schedule, std::size_t first = 1) {
        const auto& given = cases[name];
        for (std::size_t i = first; i < given["trace"].size(); ++i) {
            INFO(name << ", step " << i);
            CHECK(schedule(static_cast<std::int64_t>(i), {.lr = given["lr"]}).lr ==
                  rounded(given["trace"][i]));
        }
    };
    follows("cosine", WarmupCosine{.warmup = 4, .total = 16});
    follows("cosine_floor", WarmupCosine{.warmup = 3, .total = 15, .floor = 0.1f});
    follows("inverse_sqrt", InverseSquareRoot{.warmup = 5, .rise = true});
    follows("inverse_sqrt", InverseSquareRoot{.warmup = 5}, 5);
    follows("polynomial", Polynomial{.warmup = 4, .total = 16, .end_lr = 1e-5f, .power = 2});
    follows("polynomial_defaults", Polynomial{.total = 10});
    follows("polynomial_root",
            Polynomial{.warmup = 2, .total = 12, .end_lr = 5e-4f, .power = 0.5f});
}

TEST_CASE("T5's inverse square root is level first") {
    const InverseSquareRoot schedule;
    CHECK(schedule(1, {.lr = 0.01f}).lr == 0.01f);
    CHECK(schedule(10'000, {.lr = 0.01f}).lr == 0.01f);
    CHECK(schedule(1'000'000, {.lr = 0.01f}).lr == rounded(0.001));
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

TEST_CASE("schedules whose values mean nothing are refused") {
    CHECK(refusal(Constant{.warmup = -1}) == "zeropp: Constant: warmup is -1, expected 0 or more");
    CHECK(refusal(WarmupLR{.min_lr = -1}) == "zeropp: WarmupLR: min_lr is -1, expected 0 or more");
    CHECK(refusal(WarmupLR{.max_lr = -0.5f}) ==
          "zeropp: WarmupLR: max_lr is -0.5, expected 0 or more");
    CHECK(refusal(WarmupLR{.steps = -3}) == "zeropp: WarmupLR: steps is -3, expected 0 or more");
    CHECK(refusal(WarmupDecayLR{.total = 0}) ==
          "zeropp: WarmupDecayLR: total is 0, expected at least 1: the steps until min_lr");
    CHECK(refusal(WarmupDecayLR{.total = 9, .max_lr = -1}) ==
          "zeropp: WarmupDecayLR: max_lr is -1, expected 0 or more");
    CHECK(refusal(WarmupCosineLR{.total = -1}) ==
          "zeropp: WarmupCosineLR: total is -1, expected at least 1: the steps until floor_ratio");
    CHECK(refusal(WarmupCosineLR{.min_ratio = -1}) ==
          "zeropp: WarmupCosineLR: min_ratio is -1, expected 0 or more");
    CHECK(refusal(WarmupCosineLR{.steps = -1}) ==
          "zeropp: WarmupCosineLR: steps is -1, expected 0 or more");
    CHECK(refusal(WarmupCosineLR{.floor_ratio = -1}) ==
          "zeropp: WarmupCosineLR: floor_ratio is -1, expected 0 or more");
    CHECK(refusal(LRRangeTest{.min_lr = -1}) ==
          "zeropp: LRRangeTest: min_lr is -1, expected 0 or more");
    CHECK(refusal(LRRangeTest{.steps = 0}) ==
          "zeropp: LRRangeTest: steps is 0, expected at least 1: the length of a stair");
    CHECK(refusal(LRRangeTest{.rate = -2}) ==
          "zeropp: LRRangeTest: rate is -2, expected 0 or more");
    CHECK(refusal(OneCycle{.first_steps = 0}) ==
          "zeropp: OneCycle: first_steps is 0, expected at least 1: the rise");
    CHECK(refusal(OneCycle{.second_steps = -1}) ==
          "zeropp: OneCycle: second_steps is -1, expected 0 or more");
    CHECK(refusal(OneCycle{.max_momentum = 1}) ==
          "zeropp: OneCycle: max_momentum is 1, expected 0 or more and less than 1");
    CHECK(refusal(OneCycle{.decay_steps = -1}) ==
          "zeropp: OneCycle: decay_steps is -1, expected 0 or more");
    CHECK(refusal(InverseSquareRoot{.warmup = 0}) ==
          "zeropp: InverseSquareRoot: warmup is 0, expected at least 1: the step it falls from");
    CHECK(refusal(Polynomial{.total = 0}) ==
          "zeropp: Polynomial: total is 0, expected at least 1: the last step of the decay");
    CHECK(refusal(Polynomial{.end_lr = -1}) ==
          "zeropp: Polynomial: end_lr is -1, expected 0 or more");
    CHECK(refusal(Polynomial{.power = -1}) ==
          "zeropp: Polynomial: power is -1, expected 0 or more");
    CHECK(refusal(WarmupLinear{.warmup = -1}) ==
          "zeropp: WarmupLinear: warmup is -1, expected 0 or more");
    CHECK(refusal(WarmupCosine{.total = 0}) ==
          "zeropp: WarmupCosine: total is 0, expected at least 1: the last step of the decay");
}
