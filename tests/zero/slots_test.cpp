// SPDX-License-Identifier: Apache-2.0
/// \file An optimizer has any number of slots, each in its format: law of the stages, plan, values.
#include <array>
#include <cmath>
#include <limits>
#include <vector>

#include <zeropp/comm/self.hpp>

#include "support/catch.hpp"
#include "zero/training.hpp"

using namespace zeropp;
using namespace zeropp::testing;

namespace {

/// Two moments, and a count of the steps that an element has seen.
struct Counting {
    float lr = 1e-2f;
    static constexpr std::string_view name = "counting";
    static constexpr std::array<Slot, 3> slots{"first", Slot{"second", SlotFormat::bfloat16},
                                               "count"};
    Rates rates() const { return {.lr = lr}; }
    Rates constants(StepContext now) const { return now.rates; }
    static float update(const Rates& now, float p, float g, SlotValues<3>& s) {
        s[0] = __builtin_fmaf(0.9f, s[0] - g, g);
        s[1] = __builtin_fmaf(0.9f, s[1] - g * g, g * g);
        s[2] += 1;
        return __builtin_fmaf(-now.lr, s[0] / (s[1] + s[2]), p);
    }
};

}  // namespace

TEST_CASE("an optimizer of three slots in two formats leaves the same bits at all stages",
          "[law]") {
    const Settings settings{.world = 3, .clip = 0.5f};
    const Result expected = train<Zero<0>, Counting, Bf16>(settings);
    for (const Result& other :
         {train<Zero<1>, Counting, Bf16>(settings), train<Zero<2>, Counting, Bf16>(settings),
          train<Zero<3>, Counting, Bf16>(settings)}) {
        CHECK(other.same_values(expected));
        CHECK(other.used == other.reserved);
        CHECK(other.planned == other.reserved);
    }
}

TEST_CASE("a slot in bf16 takes half the bytes") {
    SelfComm comm;
    std::vector<float> weights(256), gradients(256, 1.0f);
    Spans model{weights, gradients};
    Trainer trainer{model, comm, Counting{.lr = 1}, ClipNorm{0}};
    const MemoryPlan plan = trainer.plan();
    CHECK(plan.bytes_of("first") == 1024);
    CHECK(plan.bytes_of("second") == 512);
    CHECK(plan.bytes_of("count") == 1024);
    // The same with that slot in fp32, but for what two roundings of 2^-8 change.
    float p = 0;
    SlotValues<3> s{};
    for (int step = 0; step < 2; ++step) {
        trainer.step();
        p = Counting::update({.lr = 1}, p, 1.0f, s);
        for (const float weight : weights) REQUIRE(weight == Approx(p).epsilon(0x1p-7));
    }
}

namespace {

/// What is read back of values that were written in a format.
std::vector<float> stored(const std::vector<float>& values, SlotFormat format,
                          Slot::Values kind = Slot::Values::any, std::int64_t step = 1) {
    const Slot slot{"slot", format, kind};
    std::vector<std::byte> memory(slot_bytes(format, values.size()));
    const SlotView view{slot, memory.data(), values.size()};
    std::vector<float> result(values.size());
    view.write(0, values.size(), values.data(), {step, 0, 0}, 0);
    view.read(0, values.size(), result.data());
    return result;
}

}  // namespace

TEST_CASE("8 bits hold numbers to one part in sixteen, over a wide range") {
    std::vector<float> values(128 * 1000);
    for (std::size_t i = 0; i < values.size(); ++i)
        values[i] = normal_at(1, 0, i) * std::exp2(static_cast<float>(i % 11));
    const std::vector<float> back = stored(values, SlotFormat::block8);
    std::vector<float> squares(values.size());
    for (std::size_t i = 0; i < values.size(); ++i) squares[i] = values[i] * values[i];
    const std::vector<float> squares_back =
        stored(squares, SlotFormat::block8, Slot::Values::never_negative);
    for (std::size_t block = 0; block < values.size(); block += slot_block) {
        float largest = 0;
        for (std::size_t i = block; i < block + slot_block; ++i)
            largest = std::max(largest, std::abs(values[i]));
        const float scale = largest / 1.875f;
        for (std::size_t i = block; i < block + slot_block; ++i) {
            // Neighbours are 1/8 of their power of two apart, 2^-17 (2^-33) of the scale at least.
            REQUIRE(std::abs(back[i] - values[i]) <=
                    std::max(std::abs(values[i]) / 8, scale * 0x1p-17f) * 1.0001f);
            REQUIRE(std::abs(squares_back[i] - squares[i]) <=
                    std::max(squares[i] / 8, scale * scale * 0x1p-32f) * 1.0001f);
            REQUIRE((squares_back[i] > 0) == (squares[i] > 0));
        }
    }
    CHECK(stored(std::vector<float>(128, 0.0f), SlotFormat::block8) ==
          std::vector<float>(128, 0.0f));
    std::vector<float> extremes(128, std::numeric_limits<float>::max());
    extremes[1] = -std::numeric_limits<float>::max();
    extremes[2] = 1e-40f;
    CHECK(stored(extremes, SlotFormat::block8)[1] == Approx(-3.4028e38f).epsilon(1e-3));
    CHECK(stored(extremes, SlotFormat::block8)[2] == 0);
}

TEST_CASE("what is rounded by chance is right in the mean, and the same every time") {
    for (const SlotFormat format : {SlotFormat::bfloat16, SlotFormat::block8}) {
        std::vector<float> values(1280, 0.3333f);
        for (std::size_t i = 0; i < values.size(); i += slot_block) values[i] = 1.9f;
        double sum = 0;
        std::size_t count = 0;
        for (std::int64_t step = 1; step <= 200; ++step) {
            const std::vector<float> back = stored(values, format, Slot::Values::any, step);
            CHECK(back == stored(values, format, Slot::Values::any, step));
            for (std::size_t i = 0; i < back.size(); ++i)
                if (i % slot_block != 0) sum += back[i], ++count;
        }
        // A step of 2^-5 of 8 bits spread over 254,000 values: a standard error of 3e-5.
        CHECK(sum / static_cast<double>(count) == Approx(0.3333).margin(1.2e-4));
    }
}

TEST_CASE("a moving average in few bits moves, though its steps are less than half a digit") {
    for (const SlotFormat format : {SlotFormat::bfloat16, SlotFormat::block8}) {
        std::vector<float> values(128 * 20, 1.0f);
        for (std::int64_t step = 1; step <= 700; ++step) {
            for (float& value : values) value *= 0.999f;
            values = stored(values, format, Slot::Values::never_negative, step);
        }
        double mean = 0;
        for (const float value : values) mean += value / static_cast<double>(values.size());
        CHECK(mean == Approx(std::pow(0.999, 700)).epsilon(0.02));  // 0.496; by nearest it is 1
    }
}
