// SPDX-License-Identifier: Apache-2.0
/// \file Cross-entropy with its head against numeric Jacobians; a small model with a tied
/// embedding.
#include "gradient_check.hpp"

using namespace check;

namespace {

const std::vector<std::int32_t> labels{3, -100, 0, 16, -100, 3};

}  // namespace

TEST_CASE("cross_entropy has the slopes of its value, whole and in blocks") {
    for (const std::size_t bytes : {std::size_t{1} << 20, std::size_t{300}, std::size_t{1}})
        jacobian({6 * 5, 17 * 5}, [=](auto& tape) {
            tape.enter(0);
            tape.enter(1);
            zp::cross_entropy(tape, leaf(tape, {0, 0, {2, 3, 5}}), {1, 0, {17, 5}}, labels,
                              {.scale = 0.7f, .logits_bytes = bytes});
            tape.leave(1);
            tape.leave(0);
        });
}

TEST_CASE("a head tied to the embedding gathers the gradients of all its uses") {
    static const std::vector<std::int32_t> ids{1, 2, 16, 1, 0, 2};
    jacobian(
        {17 * 5 + 25, 5},
        [](auto& tape) {
            tape.enter(0);
            auto x = zp::embedding(tape, std::span{ids}, 2, {0, 0, {17, 5}});
            tape.keep_gradient(x);
            tape.enter(1);
            const auto h = zp::rms_norm(tape, x, {1, 0, {5}}, 1e-3f);
            x = zp::residual_add(tape, x, zp::linear(tape, h, {0, 85, {5, 5}}));
            tape.keep_gradient(x);
            tape.leave(1);
            zp::cross_entropy(tape, x, {0, 0, {17, 5}}, labels);
            tape.leave(0);
        },
        {}, 0.05);
}

TEST_CASE("a head's gradient over many blocks is summed in fp32") {
    static const std::vector<std::int32_t> same(1024, 2);
    const auto graph = [](auto& tape) {
        using E = typename std::decay_t<decltype(tape)>::Element;
        tape.enter(0);
        tape.enter(1);
        zp::cross_entropy(tape, leaf(tape, {0, 0, {2, 512, 5}}), {1, 0, {17, 5}}, same,
                          {.logits_bytes = 2 * 17 * sizeof(E)});  // two rows
        tape.leave(1);
        tape.leave(0);
    };
    Weights<zp::Bf16> narrow{{1024 * 5, 17 * 5}};
    Weights<double> wide{{1024 * 5, 17 * 5}};
    for (std::size_t unit = 0; unit < 2; ++unit)
        for (std::size_t i = 0; i < wide.values[unit].size(); ++i) {  // all of one sign
            narrow.values[unit][i] = zp::Bf16{std::fabs(float(narrow.values[unit][i]))};
            wide.values[unit][i] = float(narrow.values[unit][i]);
        }
    const Run exact = run<double, zp::ReferenceProducts>(wide, graph),
              rounded = run<zp::Bf16, zp::ReferenceProducts>(narrow, graph);
    CHECK(rounded.planned == rounded.peak);
    // Logits, their gradients and the blocks' products are rounded to 2^-9, at random.
    CHECK(distance(rounded.gradients[1], exact.gradients[1]) < 4e-3);
}

TEST_CASE("the loss is the mean over the labels that count") {
    Weights<float> weights{{6 * 5, 17 * 5}};
    zp::Arena<zp::Host> arena{"activations", 1 << 20};
    zp::Tape<float, zp::Host, zp::ReferenceProducts> tape;
    tape.start(arena, zp::Units<float>{weights}, {.gradients = false});
    tape.enter(0);
    tape.enter(1);
    const auto x = leaf(tape, {0, 0, {2, 3, 5}});
    zp::cross_entropy(tape, x, {1, 0, {17, 5}}, labels);
    double expected = 0;
    for (std::size_t row = 0; row < 6; ++row) {
        if (labels[row] == -100) continue;
        double total = 0, at_label = 0;
        for (int v = 0; v < 17; ++v) {
            double logit = 0;
            for (std::size_t c = 0; c < 5; ++c)
                logit += double(x.data()[row * 5 + c]) * weights.values[1][v * 5 + c];
            total += std::exp(logit);
            if (v == labels[row]) at_label = logit;
        }
        expected += std::log(total) - at_label;
    }
    CHECK(tape.loss().tokens == 4);
    CHECK(tape.loss().mean == Approx(expected / 4).epsilon(1e-6));  // fp32 logits
}

TEST_CASE("without a label that counts the loss and every gradient are zero") {
    static const std::vector<std::int32_t> none(6, zp::ignored_label);
    Weights<float> weights{{6 * 5, 17 * 5}};
    const Run result = run<float, zp::ReferenceProducts>(weights, [](auto& tape) {
        tape.enter(0);
        tape.enter(1);
        zp::cross_entropy(tape, leaf(tape, {0, 0, {2, 3, 5}}), {1, 0, {17, 5}}, none);
        tape.leave(1);
        tape.leave(0);
    });
    CHECK(result.loss == 0.0);
    for (const auto& unit : result.gradients)
        for (const double value : unit) CHECK(value == 0.0);
}

TEST_CASE("the gradient is scaled by the loss scale") {
    Weights<float> weights{{6 * 5, 17 * 5}};
    zp::Arena<zp::Host> arena{"activations", 1 << 20};
    zp::Tape<float, zp::Host, zp::ReferenceProducts> tape;
    std::vector<float> first;
    for (const float scale : {1.0f, 1024.0f}) {
        const std::size_t mark = arena.mark();
        tape.start(arena, zp::Units<float>{weights});
        tape.enter(0);
        tape.enter(1);
        zp::cross_entropy(tape, leaf(tape, {0, 0, {2, 3, 5}}), {1, 0, {17, 5}}, labels);
        tape.leave(1);
        tape.leave(0);
        tape.backward(scale);
        arena.release(mark);
        if (first.empty()) first = weights.gradients[0];
    }
    for (std::size_t i = 0; i < first.size(); ++i)  // a power of two: exactly
        CHECK(weights.gradients[0][i] == first[i] * 1024.0f);
}
