// SPDX-License-Identifier: Apache-2.0
/// \file What a tape tells the observer, what memory it takes and gives back, and its errors.
#include "gradient_check.hpp"
#include "support/counted_allocations.hpp"

using namespace check;

namespace {

/// Two residual layers between an embedding and its tied head.
template <class T>
void small_model(T& tape, std::span<const std::int32_t> ids, std::span<const std::int32_t> labels,
                 std::size_t layers = 2, bool keep = true) {
    const std::size_t width = 32;
    const zp::ParameterRef table{0, 0, {40, width}};
    tape.enter(0);
    auto x = zp::embedding(tape, ids, 2, table);
    if (keep) tape.keep_gradient(x);
    for (std::size_t layer = 1; layer <= layers; ++layer) {
        tape.enter(layer);
        const auto h = zp::rms_norm(tape, x, {layer, 0, {width}}, 1e-6f);
        const auto up = zp::relu(tape, zp::linear(tape, h, {layer, width, {2 * width, width}}));
        const auto down =
            zp::linear(tape, up, {layer, width + 2 * width * width, {width, 2 * width}});
        x = zp::residual_add(tape, x, down);
        tape.leave(layer);
    }
    zp::cross_entropy(tape, x, table, labels);
    tape.leave(0);
}

const std::vector<std::int32_t> ids{1, 2, 16, 1, 0, 2}, labels{3, -100, 0, 16, -100, 3};
const std::size_t layer_size = 32 + 2 * 2 * 32 * 32;

}  // namespace

TEST_CASE("units are used and released in order, and again in reverse") {
    Weights<float> weights{{40 * 32, layer_size, layer_size}};
    run<float, zp::ReferenceProducts>(weights, [](auto& tape) { small_model(tape, ids, labels); });
    CHECK(weights.calls ==
          std::vector<std::string>{"use 0", "use 1", "release 1", "use 2", "release 2",
                                   "release 0",  //
                                   "use 0", "gradient 0", "use 2", "gradient 2", "ready 2",
                                   "release 2", "use 1", "gradient 1", "ready 1", "release 1",
                                   "ready 0", "release 0"});
}

TEST_CASE("a run takes exactly what a measuring run counted, and backward gives all of it back") {
    for (const std::size_t layers : {1, 2, 5}) {
        std::vector<std::size_t> sizes{40 * 32};
        sizes.insert(sizes.end(), layers, layer_size);
        Weights<float> weights{sizes};
        const Run result = run<float, zp::ReferenceProducts>(
            weights, [=](auto& tape) { small_model(tape, ids, labels, layers); });
        CHECK(result.planned == result.peak);
        CHECK(result.left == 0);
    }
}

TEST_CASE("a layer more costs its activations, not its gradients") {
    std::size_t peaks[3];
    for (const std::size_t layers : {1, 2, 3}) {
        auto arena = zp::Arena<zp::Host>::measuring("measure");
        zp::Tape<float, zp::Host, zp::ReferenceProducts> tape;
        tape.measure(arena);
        small_model(tape, ids, labels, layers);
        tape.backward(1.0f);
        peaks[layers - 1] = arena.peak();
    }
    // Of 6 rows: normalised 32, hidden 64, branch 32 floats, and one scale a row.
    const std::size_t activations = 6 * (32 + 64 + 32) * 4 + 64;
    CHECK(peaks[1] - peaks[0] == activations);
    CHECK(peaks[2] - peaks[1] == activations);
}

TEST_CASE("after a run of the same shapes, the next one allocates nothing") {
    Weights<float> weights{{40 * 32, layer_size, layer_size}};
    struct Quiet {
        Weights<float>& weights;
        std::span<const float> use(std::size_t unit) { return weights.values[unit]; }
        void release(std::size_t) {}
        std::span<float> gradient(std::size_t unit) { return weights.gradients[unit]; }
        void ready(std::size_t) {}
    } quiet{weights};
    zp::Tape<float, zp::Host, zp::ReferenceProducts> tape;
    auto measure = zp::Arena<zp::Host>::measuring("measure");
    tape.measure(measure);
    small_model(tape, ids, labels);
    tape.backward(1.0f);
    zp::Arena<zp::Host> arena{"activations", measure.peak()};
    const std::size_t before = allocations;
    tape.start(arena, zp::Units<float>{quiet});
    small_model(tape, ids, labels);
    tape.backward(1.0f);
    CHECK(allocations == before);
    CHECK(tape.loss().tokens == 4);
}

TEST_CASE("a unit whose gradient is empty gets none, and the others get theirs") {
    Weights<float> all{{40 * 32, layer_size, layer_size}}, some = all;
    some.gradients[1].clear();
    const auto graph = [](auto& tape) { small_model(tape, ids, labels); };
    const Run expected = run<float, zp::ReferenceProducts>(all, graph);
    const Run result = run<float, zp::ReferenceProducts>(some, graph);
    CHECK(result.gradients[1].empty());
    CHECK(result.gradients[0] == expected.gradients[0]);
    CHECK(result.gradients[2] == expected.gradients[2]);

    // The last layer's second matrix is frozen, and the unit's gradient ends before it.
    Weights<float> shorter = all;
    shorter.gradients[2].resize(32 + 2 * 32 * 32);
    const Run partly = run<float, zp::ReferenceProducts>(shorter, graph);
    CHECK(partly.gradients[1] == expected.gradients[1]);
    CHECK(std::equal(partly.gradients[2].begin(), partly.gradients[2].end(),
                     expected.gradients[2].begin()));
    // A matrix that is frozen in part has no gradient of one part alone.
    shorter.gradients[2].resize(32 + 3 * 32 * 32);
    CHECK_THROWS_WITH(
        (run<float, zp::ReferenceProducts>(shorter, graph)),
        "zeropp: Tape: of elements 2080 to 4128 of unit 2 the last ones are frozen, expected "
        "Unit::joint_gradients to count them in");
}

TEST_CASE("backward stops at a constant, and what reads it is as it would be") {
    // Unit 0 makes x, unit 1 reads it in every way that an operation can.
    const auto graph = [](bool constant) {
        return [constant](auto& tape) {
            const auto make = [&] {
                tape.enter(0);
                const auto x = leaf(tape, {0, 0, {2, 3, 32}});
                tape.leave(0);
                return x;
            };
            const auto x = constant ? tape.constant(make) : make();
            tape.keep_gradient(x);
            tape.enter(1);
            const auto h = zp::rms_norm(tape, x, {1, 0, {32}}, 1e-6f);
            const auto y = zp::linear(tape, x, {1, 32, {32, 32}});
            const auto k = zp::linear(tape, h, {1, 32, {32, 32}}),
                       v = zp::linear(tape, h, {1, 32, {32, 32}});
            const auto a = zp::attention(tape, {x}, {k}, {v}, {}, {});
            objective(tape, zp::residual_add(tape, zp::scaled(tape, x, 2.0f), y));
            objective(tape, h);
            objective(tape, a);
            tape.leave(1);
        };
    };
    Weights<float> weights{{2 * 3 * 32, 32 + 32 * 32}}, without = weights;
    const Run expected = run<float, zp::ReferenceProducts>(weights, graph(false));
    const Run result = run<float, zp::ReferenceProducts>(without, graph(true));
    CHECK(result.gradients[1] == expected.gradients[1]);
    CHECK(result.loss == expected.loss);
    CHECK(result.planned == result.peak);
    CHECK(std::count(without.calls.begin(), without.calls.end(), "gradient 0") == 0);
}

TEST_CASE("a parameter that no loss depends on has gradient zero") {
    // Unit 1: unused, a norm's weight, unused, a matrix whose product nobody reads, unused.
    Weights<float> weights{{6 * 32, 3 + 32 + 5 + 32 * 32 + 7, 9}};
    const Run result = run<float, zp::ReferenceProducts>(weights, [](auto& tape) {
        tape.enter(2);
        tape.enter(0);
        const auto x = leaf(tape, {0, 0, {2, 3, 32}});
        tape.keep_gradient(x);
        tape.enter(1);
        const auto y = zp::rms_norm(tape, x, {1, 3, {32}}, 1e-6f);
        zp::linear(tape, y, {1, 40, {32, 32}});
        objective(tape, y);
        tape.leave(1);
        tape.leave(0);
        tape.leave(2);
    });
    for (std::size_t i = 0; i < weights.gradients[1].size(); ++i) {
        INFO(i);
        CHECK((result.gradients[1][i] != 0.0) == (3 <= i && i < 35));
        CHECK(zp::is_finite(result.gradients[1][i]));
    }
    for (const double slope : result.gradients[0]) CHECK((slope != 0.0 && zp::is_finite(slope)));
    for (const double slope : result.gradients[2]) CHECK(slope == 0.0);  // entered, never used
}

TEST_CASE("what cannot be is named") {
    Weights<float> weights{{40 * 32, layer_size, layer_size}};
    zp::Arena<zp::Host> arena{"activations", 1 << 20};
    zp::Tape<float, zp::Host, zp::ReferenceProducts> tape;
    const auto start = [&] {
        arena.release(0);
        tape.start(arena, zp::Units<float>{weights});
    };
    using Catch::Matchers::Contains;

    start();
    small_model(tape, ids, labels, 2, false);
    CHECK_THROWS_WITH(tape.backward(1.0f),
                      "zeropp: Tape::backward: a value of shape [2, 3, 32] has its first gradient "
                      "in another unit than its own, expected keep_gradient where it was made");
    start();
    tape.enter(1);
    const auto early = leaf(tape, {1, 0, {2, 3, 4}});
    tape.enter(2);
    tape.leave(2);
    objective(tape, early);
    tape.leave(1);
    CHECK_THROWS_WITH(tape.backward(1.0f),
                      "zeropp: Tape::backward: a value of shape [2, 3, 4] has its first gradient "
                      "after a unit that was entered after it was made, expected keep_gradient "
                      "where it was made");
    start();
    tape.enter(1);
    CHECK_THROWS_WITH(tape.leave(2),
                      "zeropp: Tape::leave: unit 2 is left, expected the one entered last");
    CHECK_THROWS_WITH(
        tape.backward(1.0f),
        "zeropp: Tape::backward: a unit is still entered, expected leave of every one");
    CHECK_THROWS_WITH(
        leaf(tape, {0, 0, {3, 3}}),
        "zeropp: Tape: a parameter of unit 0 is used, expected the unit to be entered");
    CHECK_THROWS_WITH(leaf(tape, {1, layer_size, {3, 3}}),
                      Contains("unit 1 has 4128 elements, expected at least 4137"));
    const auto x = leaf(tape, {1, 0, {2, 3, 4}});
    CHECK_THROWS_WITH(zp::linear(tape, x, {1, 0, {5, 6}}),
                      "zeropp: linear: the weight has shape [5, 6], expected [out, 4]");
    CHECK_THROWS_WITH(zp::embedding(tape, std::span<const std::int32_t>{labels}, 2, {1, 0, {9, 4}}),
                      "zeropp: embedding: id -100, expected 0 to 8");
    CHECK_THROWS_WITH(zp::dropped(tape, x, {0.5f, 1}),
                      "zeropp: dropout: 0 ordinals for a value of shape [2, 3, 4], expected one an "
                      "example; give them to Tape::start");
    const auto y = zp::relu(tape, x);
    objective(tape, y);
    objective(tape, x);
    tape.leave(1);
    CHECK_THROWS_WITH(tape.backward(1.0f),
                      "zeropp: Tape::backward: a value of shape [2, 3, 4] was read after an "
                      "operation in place took it over, expected no reader");
    CHECK_THROWS_WITH(
        tape.measure(arena),
        "zeropp: Tape::measure: arena 'activations' holds memory, expected a measuring arena");
}
