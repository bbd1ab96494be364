// SPDX-License-Identifier: Apache-2.0
/// \file A profile counts every product of every unit, and changes no bit.
#include <zeropp/device/profiled_products.hpp>

#include "gradient_check.hpp"

using namespace check;

namespace {

using Profiled = zp::ProfiledProducts<zp::ReferenceProducts>;
static_assert(zp::Products<Profiled, float> && zp::Products<Profiled, zp::Bf16> &&
              zp::ObservesUnits<Profiled> && !zp::ObservesUnits<zp::ReferenceProducts>);

/// Two layers [64, 32] and [32, 64] of 6 rows between a table of 40 and the tied head, for which 4
/// labels count.
template <class P>
std::vector<std::vector<float>> gradients_of(zp::FlopsProfile* profile, int runs = 1) {
    static const std::vector<std::int32_t> ids{1, 2, 16, 1, 0, 2}, labels{3, -100, 0, 16, -100, 3};
    const std::size_t width = 32, layer_size = 2 * 2 * width * width;
    Weights<float> weights{{40 * width, layer_size, layer_size}};
    zp::Tape<float, zp::Host, P> tape;
    if constexpr (zp::ObservesUnits<P>) tape.products().record(profile);
    const auto graph = [&] {
        const zp::ParameterRef table{0, 0, {40, width}};
        tape.enter(0);
        auto x = zp::embedding(tape, ids, 2, table);
        tape.keep_gradient(x);
        for (const std::size_t layer : {1, 2}) {
            tape.enter(layer);
            const auto up = zp::relu(tape, zp::linear(tape, x, {layer, 0, {2 * width, width}}));
            x = zp::residual_add(
                tape, x, zp::linear(tape, up, {layer, 2 * width * width, {width, 2 * width}}));
            tape.leave(layer);
        }
        zp::cross_entropy(tape, x, table, labels);
        tape.leave(0);
        tape.backward(1.0f);
    };
    auto measure = zp::Arena<zp::Host>::measuring("measure");
    tape.measure(measure);
    graph();
    zp::Arena<zp::Host> arena{"activations", measure.peak()};
    for (int i = 0; i < runs; ++i) {
        arena.release(0);
        tape.start(arena, zp::Units<float>{weights});
        graph();
    }
    return weights.gradients;
}

}  // namespace

TEST_CASE("products are counted by unit and direction") {
    zp::FlopsProfile profile{3};
    gradients_of<Profiled>(&profile, 2);
    REQUIRE(profile.units().size() == 3);
    const std::uint64_t product = 2 * 6 * 64 * 32, head = 2 * 4 * 40 * 32;
    for (const std::size_t layer : {1, 2}) {
        const zp::FlopsProfile::Unit& unit = profile.units()[layer];
        CHECK(unit.forward.flops == 2 * 2 * product);
        CHECK(unit.forward.products == 2 * 2);
        CHECK(unit.backward.flops == 2 * 4 * product);
        CHECK(unit.backward.products == 2 * 4);
        CHECK(unit.forward.seconds >= unit.forward.product_seconds);
        CHECK(unit.backward.seconds >= unit.backward.product_seconds);
        CHECK(unit.forward.product_seconds > 0);
    }
    // With gradients the head computes its logits in backward.
    CHECK(profile.units()[0].forward.flops == 0);
    CHECK(profile.units()[0].backward.flops == 2 * 3 * head);
    CHECK(profile.total().flops() == 2 * (2 * 6 * product + 3 * head));
}

TEST_CASE("with and without a profile the bits are those of the products") {
    zp::FlopsProfile profile{3};
    const auto plain = gradients_of<zp::ReferenceProducts>(nullptr);
    CHECK(gradients_of<Profiled>(nullptr) == plain);
    CHECK(gradients_of<Profiled>(&profile) == plain);
}

TEST_CASE("time that a unit waits belongs to none, and a failed run leaves nothing entered") {
    zp::FlopsProfile profile{2};
    profile.enter_unit(0, false);
    profile.enter_unit(1, false);  // the run fails here
    profile.begin_run();
    profile.product(1000, 1);  // of no unit
    profile.enter_unit(1, true);
    profile.product(10, 0.5);
    profile.suspend();
    const double before = profile.units()[1].backward.seconds;
    profile.leave_unit();
    CHECK(profile.units()[1].backward.seconds == before);
    CHECK(profile.total().flops() == 10);
    CHECK(profile.units()[1].backward.product_seconds == 0.5);
}

TEST_CASE("the rate of products alone is a positive number of FLOPs a second") {
    CHECK(zp::product_rate<float>(zp::ReferenceProducts{}, 32) > 1e5);
    CHECK(zp::product_rate<zp::Bf16>(zp::ReferenceProducts{}, 32) > 1e5);
}
