// SPDX-License-Identifier: Apache-2.0
/// \file Every operation but attention and loss against numeric Jacobians.
#include "gradient_check.hpp"

using namespace check;

namespace {

const std::vector<std::uint64_t> ordinals{11, 5'000'000'000u, 7};

zp::RunOptions with_dropout() {
    zp::RunOptions options;
    options.seed = 42;
    options.ordinals = ordinals;
    return options;
}

}  // namespace

TEST_CASE("rms_norm has the slopes of its value") {
    jacobian({6 * 19, 19}, [](auto& tape) {
        tape.enter(0);
        tape.enter(1);
        objective(tape, zp::rms_norm(tape, leaf(tape, {0, 0, {2, 3, 19}}), {1, 0, {19}}, 1e-2f));
        tape.leave(1);
        tape.leave(0);
    });
}

TEST_CASE("linear has the slopes of its value, and weights named as one are one") {
    jacobian({6 * 5, 7 * 5}, [](auto& tape) {
        tape.enter(0);
        tape.enter(1);
        objective(tape, zp::linear(tape, leaf(tape, {0, 0, {2, 3, 5}}), {1, 0, {7, 5}}));
        tape.leave(1);
        tape.leave(0);
    });
}

TEST_CASE("a weight used twice gathers both gradients") {
    jacobian({6 * 5, 5 * 5}, [](auto& tape) {
        tape.enter(0);
        tape.enter(1);
        auto x = leaf(tape, {0, 0, {2, 3, 5}});
        x = zp::linear(tape, x, {1, 0, {5, 5}});
        objective(tape, zp::linear(tape, x, {1, 0, {5, 5}}));
        tape.leave(1);
        tape.leave(0);
    });
}

TEST_CASE("embedding gathers rows and sums their gradients") {
    static const std::vector<std::int32_t> ids{3, 0, 3, 1, 3, 0};
    jacobian({4 * 5}, [](auto& tape) {
        tape.enter(0);
        objective(tape, zp::embedding(tape, std::span{ids}, 2, {0, 0, {4, 5}}));
        tape.leave(0);
    });
}

TEST_CASE("an embedding's row that no id names has gradient zero") {
    static const std::vector<std::int32_t> ids{3, 0};
    Weights<float> weights{{4 * 5}};
    const Run result = run<float, zp::ReferenceProducts>(weights, [](auto& tape) {
        tape.enter(0);
        objective(tape, zp::embedding(tape, std::span{ids}, 1, {0, 0, {4, 5}}));
        tape.leave(0);
    });
    for (std::size_t i = 5; i < 15; ++i) CHECK(result.gradients[0][i] == 0.0);
}

TEST_CASE("an embedding's gradient is summed in fp32 and rounded once, however often an id comes") {
    static const std::vector<std::int32_t> same(2048, 3), mixed = [] {
        std::vector<std::int32_t> ids(2048);
        for (std::size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<std::int32_t>(i * i % 5);
        return ids;
    }();
    const std::vector<float> slopes(2048 * 5, 0.01f);
    for (const auto* const ids : {&same, &mixed}) {
        Weights<zp::Bf16> weights{{8 * 5}};
        const Run result = run<zp::Bf16, zp::ReferenceProducts>(weights, [&](auto& tape) {
            tape.enter(0);
            given_slopes(tape, zp::embedding(tape, std::span{*ids}, 2, {0, 0, {8, 5}}), slopes);
            tape.leave(0);
        });
        CHECK(result.planned == result.peak);
        for (std::size_t row = 0; row < 8; ++row) {
            const auto uses = std::ranges::count(*ids, static_cast<std::int32_t>(row));
            const double sum = static_cast<double>(uses) * float(zp::Bf16{0.01f});
            // 8 bits of mantissa; fp32's own rounding could move a tie only.
            for (std::size_t c = 0; c < 5; ++c)
                CHECK(result.gradients[0][row * 5 + c] == float(zp::Bf16{float(sum)}));
        }
    }
}

TEST_CASE("a tied table's gradient in bf16 is the double sum of all its uses, rounded each time") {
    static const std::vector<std::int32_t> ids = [] {
        std::vector<std::int32_t> all(3000);
        for (std::size_t i = 0; i < all.size(); ++i) all[i] = static_cast<std::int32_t>(i % 3);
        return all;
    }();
    const auto graph = [](auto& tape) {
        tape.enter(0);
        for (int use = 0; use < 2; ++use)
            objective(tape, zp::embedding(tape, std::span{ids}, 3, {0, 0, {4, 7}}), use);
        tape.leave(0);
    };
    Weights<zp::Bf16> narrow{{4 * 7}};
    Weights<double> wide{{4 * 7}};
    const Run exact = run<double, zp::ReferenceProducts>(wide, graph),
              rounded = run<zp::Bf16, zp::ReferenceProducts>(narrow, graph);
    // Slopes are rounded to 2^-9 each, at random, and two sums are.
    CHECK(distance(rounded.gradients[0], exact.gradients[0]) < 4e-3);
}

TEST_CASE("a residual stream has one gradient, through any number of branches") {
    for (const float rate : {0.0f, 0.25f})
        jacobian(
            {6 * 70, 70 * 70, 70},
            [=](auto& tape) {
                tape.enter(2);
                tape.enter(1);
                tape.enter(0);
                auto x = leaf(tape, {0, 0, {3, 2, 70}});
                for (std::uint32_t layer = 0; layer < 3; ++layer) {
                    const auto h = zp::rms_norm(tape, x, {2, 0, {70}}, 1e-3f);
                    x = zp::residual_add(tape, x, zp::linear(tape, h, {1, 0, {70, 70}}),
                                         {rate, layer});
                }
                objective(tape, x);
                tape.leave(0);
                tape.leave(1);
                tape.leave(2);
            },
            with_dropout(), 0.05);
}

TEST_CASE("dropped and scaled have the slopes of their values") {
    jacobian(
        {6 * 70},
        [](auto& tape) {
            tape.enter(0);
            const auto x = leaf(tape, {0, 0, {3, 2, 70}});
            objective(tape, zp::dropped(tape, zp::scaled(tape, x, 0.3f), {0.4f, 9}));
            tape.leave(0);
        },
        with_dropout());
}

TEST_CASE("relu has the slopes of its value") {
    for (const float rate : {0.0f, 0.25f})
        jacobian(
            {6 * 70},
            [=](auto& tape) {
                tape.enter(0);
                objective(tape, zp::relu(tape, leaf(tape, {0, 0, {3, 2, 70}}), {rate, 1}));
                tape.leave(0);
            },
            with_dropout());
}

TEST_CASE("gated_gelu has the slopes of its value, from one product or two") {
    for (const float rate : {0.0f, 0.25f}) {
        jacobian(
            {6 * 140},
            [=](auto& tape) {
                tape.enter(0);
                const auto x = leaf(tape, {0, 0, {3, 2, 140}});
                objective(tape, zp::gated_gelu(tape, {x, 0, 70}, {x, 70, 70}, {rate, 1}));
                tape.leave(0);
            },
            with_dropout());
        jacobian(
            {6 * 140},
            [=](auto& tape) {
                tape.enter(0);
                using E = typename std::decay_t<decltype(tape)>::Element;
                const zp::Var<E> a = leaf(tape, {0, 0, {3, 2, 70}});
                const zp::Var<E> b = leaf(tape, {0, 6 * 70, {3, 2, 70}});
                objective(tape,
                          zp::gated_gelu(tape, zp::Columns<E>{a}, zp::Columns<E>{b}, {rate, 1}));
                tape.leave(0);
            },
            with_dropout());
    }
}

TEST_CASE("a value read by several operations gathers their gradients") {
    jacobian({6 * 5, 5 * 5}, [](auto& tape) {
        tape.enter(0);
        tape.enter(1);
        const auto x = leaf(tape, {0, 0, {2, 3, 5}});
        objective(tape, x, 1);
        objective(tape, zp::scaled(tape, x, 2.0f), 2);
        objective(tape, zp::linear(tape, x, {1, 0, {5, 5}}), 3);
        tape.leave(1);
        tape.leave(0);
    });
}

TEST_CASE("a residual stream in its own type has the slopes of its value, from end to end") {
    static const std::vector<std::int32_t> ids{3, 0, 3, 1, 2, 0};
    jacobian(
        {4 * 32, 32 + 40 * 32 + 32 * 40},
        [](auto& tape) {
            using S = zp::Stream<typename std::decay_t<decltype(tape)>::Element>;
            tape.enter(0);
            zp::Var<S> x = zp::embedding<S>(tape, std::span{ids}, 3, {0, 0, {4, 32}});
            tape.keep_gradient(x);
            x = zp::dropped(tape, x, {0.25f, 1});
            tape.enter(1);
            for (std::uint32_t layer = 0; layer < 2; ++layer) {
                const auto h = zp::rms_norm(tape, x, {1, 0, {32}}, 1e-2f);
                const auto wide = zp::linear(tape, h, {1, 32, {40, 32}});
                const auto branch =
                    zp::linear<S>(tape, zp::scaled(tape, wide, 0.2f), {1, 32 + 40 * 32, {32, 40}});
                x = zp::residual_add(tape, x, branch, {0.25f, 2 + layer});
            }
            objective(tape, zp::scaled(tape, x, 0.5f));
            tape.leave(1);
            tape.leave(0);
        },
        with_dropout(), 0.06);
}

TEST_CASE("a product into an fp32 stream is beyond fp16's range, one into fp16 is infinite") {
    Weights<zp::Half> weights{{64, 64}};
    for (auto& unit : weights.values) std::ranges::fill(unit, zp::Half{200.0f});
    const Run result = run<zp::Half, zp::ReferenceProducts>(weights, [](auto& tape) {
        tape.enter(0);
        tape.enter(1);
        const auto x = leaf(tape, {0, 0, {8, 8}});
        const auto wide = zp::linear<float>(tape, x, {1, 0, {8, 8}});
        const auto narrow = zp::linear(tape, x, {1, 0, {8, 8}});
        if (!tape.is_measuring()) {
            CHECK(wide.data()[5] == 320000.0f);
            CHECK(narrow.data()[5].bits == 0x7c00);
        }
        objective(tape, wide);
        tape.leave(1);
        tape.leave(0);
    });
    for (const double slope : result.gradients[1]) CHECK(zp::is_finite(slope));
}

TEST_CASE("what is beyond a limit is clamped and has gradient zero; NaN stays") {
    const float infinity = std::numeric_limits<float>::infinity();
    Weights<float> weights{{7}};
    weights.values[0] = {1.0f, 9.9f, 10.0f, -10.5f, infinity, -infinity, -9.0f};
    std::vector<float> out;
    const std::vector<float> slopes(7, 3.0f);
    const auto graph = [&](auto& tape) {
        tape.enter(0);
        const auto x = zp::clamped(tape, leaf(tape, {0, 0, {1, 7}}), 10.0f, 9.5f);
        if (!tape.is_measuring()) out.assign(x.data(), x.data() + 7);
        given_slopes(tape, x, slopes);
        tape.leave(0);
    };
    const Run result = run<float, zp::ReferenceProducts>(weights, graph);
    CHECK(out == std::vector<float>{1.0f, 9.9f, 9.5f, -9.5f, 9.5f, -9.5f, -9.0f});
    CHECK(result.gradients[0] == std::vector<double>{3, 3, 0, 0, 0, 0, 3});
    weights.values[0][0] = std::numeric_limits<float>::quiet_NaN();
    run<float, zp::ReferenceProducts>(weights, graph);
    CHECK(std::isnan(out[0]));
    CHECK(result.planned == result.peak);
}
