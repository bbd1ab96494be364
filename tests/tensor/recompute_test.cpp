// SPDX-License-Identifier: Apache-2.0
/// \file A unit that is computed again in backward: the same bits in less memory.
#include <zeropp/tensor/recompute.hpp>

#include "gradient_check.hpp"

using namespace check;

namespace {

constexpr std::size_t width = 32, layer_size = width + 2 * 2 * width * width;

template <class T>
struct Layer {
    T* tape;
    std::size_t unit;

    template <zp::Scalar E>
    zp::Var<E> operator()(zp::Var<E> x) const {
        const auto h = zp::rms_norm(*tape, x, {unit, 0, {width}}, 1e-6f);
        const auto up = zp::relu(*tape, zp::linear(*tape, h, {unit, width, {2 * width, width}}));
        return zp::residual_add(
            *tape, x, zp::linear(*tape, up, {unit, width + 2 * width * width, {width, 2 * width}}));
    }
};

/// `layers` of them between a value of unit 0 and the loss. `beside`: the value too is read, after
/// the last of them, with no gradient reserved.
template <class T>
void layers_of(T& tape, std::size_t layers, bool again, bool beside = false) {
    using E = typename T::Element;
    tape.enter(0);
    auto x = leaf(tape, {0, 0, {2, 3, width}});
    tape.keep_gradient(x);
    const auto early = beside ? leaf(tape, {0, 0, {2, 3, width}}) : zp::Var<E>{};
    for (std::size_t unit = 1; unit <= layers; ++unit) {
        const Layer<T> layer{&tape, unit};
        if (again) {
            const auto out = tape.template make<E>(x.shape());
            tape.keep_gradient(out);
            zp::recompute(tape, unit, x, out, layer);
            x = out;
        } else {
            tape.enter(unit);
            x = layer(x);
            tape.leave(unit);
        }
    }
    objective(tape, x);
    if (beside) objective(tape, early);
    tape.leave(0);
}

}  // namespace

TEMPLATE_TEST_CASE("recomputing leaves the same bits and keeps a unit's input only", "", float,
                   zp::Bf16) {
    std::vector<std::size_t> sizes{2 * 3 * width};
    std::size_t peaks[2][2];
    for (const std::size_t layers : {2, 3}) {
        sizes.assign(layers + 1, layer_size);
        sizes[0] = 2 * 3 * width;
        Weights<TestType> kept{sizes}, again{sizes};
        const auto graph = [layers](bool recomputed) {
            return [layers, recomputed](auto& tape) { layers_of(tape, layers, recomputed); };
        };
        const Run expected = run<TestType, zp::ReferenceProducts>(kept, graph(false));
        const Run result = run<TestType, zp::ReferenceProducts>(again, graph(true));
        CHECK(result.loss == expected.loss);
        CHECK(result.gradients == expected.gradients);
        CHECK(result.planned == result.peak);
        CHECK(result.left == 0);
        peaks[0][layers - 2] = expected.peak;
        peaks[1][layers - 2] = result.peak;
    }
    // A layer more: its result and that one's gradient, instead of all that it computes.
    CHECK(peaks[1][1] - peaks[1][0] == 2 * 6 * width * sizeof(TestType));
    CHECK(peaks[1][1] < peaks[0][1]);
}

TEST_CASE("a unit computed again gives back no gradient but its own") {
    Weights<float> weights{{2 * 3 * width, layer_size}};
    const Run result = run<float, zp::ReferenceProducts>(
        weights, [](auto& tape) { layers_of(tape, 1, true, true); });
    CHECK(result.planned == result.peak);
    CHECK(result.left == 0);
    Weights<float> one{{2 * 3 * width, layer_size}};
    const Run without =
        run<float, zp::ReferenceProducts>(one, [](auto& tape) { layers_of(tape, 1, true); });
    for (std::size_t i = 0; i < result.gradients[0].size(); ++i) {
        INFO(i);
        const auto slope = static_cast<double>(zp::normal_at(77, 0, i));
        // Two contributions are added in fp32, once each.
        CHECK(std::abs(result.gradients[0][i] - without.gradients[0][i] - slope) <
              1e-6 * (1 + std::abs(result.gradients[0][i])));
    }
}
