// SPDX-License-Identifier: Apache-2.0
/// \file Attention and its position bias against numeric Jacobians, and against the plain formula.
#include "gradient_check.hpp"

using namespace check;

namespace {

const std::vector<std::uint64_t> ordinals{11, 5'000'000'000u};

zp::RunOptions with_dropout() {
    zp::RunOptions options;
    options.seed = 42;
    options.ordinals = ordinals;
    return options;
}

}  // namespace

TEST_CASE("buckets are those of Hugging Face's T5, 32 buckets up to distance 128") {
    // First distance of each bucket in the logarithmic half, from transformers.
    const std::size_t both[][2] = {{8, 8},   {12, 9},  {16, 10}, {23, 11},
                                   {32, 12}, {46, 13}, {64, 14}, {91, 15}};
    const std::size_t back[][2] = {{16, 16}, {19, 17}, {21, 18}, {24, 19}, {27, 20}, {31, 21},
                                   {35, 22}, {40, 23}, {46, 24}, {52, 25}, {59, 26}, {67, 27},
                                   {77, 28}, {87, 29}, {99, 30}, {113, 31}};
    const zp::PositionBuckets encoder, decoder{.bidirectional = false};
    for (std::ptrdiff_t distance = -600; distance <= 600; ++distance) {
        const auto far = static_cast<std::size_t>(std::abs(distance));
        std::size_t expected = far;
        for (const auto& [first, bucket] : both)
            if (far >= first) expected = bucket;
        CHECK(zp::bucket_of(distance, encoder) == expected + (distance > 0 ? 16 : 0));
        expected = distance > 0 ? 0 : far;
        for (const auto& [first, bucket] : back)
            if (distance < 0 && far >= first) expected = bucket;
        CHECK(zp::bucket_of(distance, decoder) == expected);
    }
}

TEST_CASE("self-attention with bias and mask has the slopes of its value") {
    static const std::vector<std::uint8_t> mask{1, 1, 1, 0, 0, 1, 1, 1, 1, 1};
    for (const bool causal : {false, true})
        for (const float rate : {0.0f, 0.25f})
            jacobian(
                {10 * 12, 8 * 2},
                [=](auto& tape) {
                    tape.enter(1);
                    const auto bias = zp::relative_position_bias(
                        tape, {1, 0, {8, 2}}, 5, 5,
                        {.bidirectional = !causal, .count = 8, .max_distance = 6});
                    tape.enter(0);
                    const auto x = leaf(tape, {0, 0, {2, 5, 12}});
                    objective(tape, zp::attention(tape, {x, 0, 4}, {x, 4, 4}, {x, 8, 4}, bias,
                                                  {.heads = 2,
                                                   .causal = causal,
                                                   .key_mask = mask,
                                                   .dropout = {rate, 3}}));
                    tape.leave(0);
                    tape.leave(1);
                },
                with_dropout(), 0.05);
}

TEST_CASE("cross-attention without bias has the slopes of its value") {
    static const std::vector<std::uint8_t> mask{1, 1, 1, 0, 0, 1, 1, 1, 1, 1, 1, 0, 1, 1};
    jacobian({2 * 3 * 6 + 2 * 7 * 12}, [](auto& tape) {
        tape.enter(0);
        using E = typename std::decay_t<decltype(tape)>::Element;
        const zp::Var<E> q = leaf(tape, {0, 0, {2, 3, 6}});
        const zp::Var<E> kv = leaf(tape, {0, 36, {2, 7, 12}});
        objective(tape, zp::attention(tape, zp::Columns<E>{q}, {kv, 0, 6}, {kv, 6, 6}, {},
                                      {.heads = 3, .key_mask = mask}));
        tape.leave(0);
    });
}

TEST_CASE("attention longer than a block of queries has the slopes of its value") {
    for (const bool causal : {false, true})
        jacobian(
            {130 * 6, 8},
            [=](auto& tape) {
                tape.enter(1);
                const auto bias = zp::relative_position_bias(
                    tape, {1, 0, {8, 1}}, 130, 130,
                    {.bidirectional = !causal, .count = 8, .max_distance = 60});
                tape.enter(0);
                const auto x = leaf(tape, {0, 0, {1, 130, 6}});
                objective(tape, zp::attention(tape, {x, 0, 2}, {x, 2, 2}, {x, 4, 2}, bias,
                                              {.heads = 1, .causal = causal}));
                tape.leave(0);
                tape.leave(1);
            },
            {}, 0.05);
}

TEST_CASE("layers that share a bias, queries and values gather their gradients") {
    jacobian(
        {10 * 12, 8 * 2},
        [](auto& tape) {
            tape.enter(1);
            const auto bias = zp::relative_position_bias(tape, {1, 0, {8, 2}}, 5, 5,
                                                         {.count = 8, .max_distance = 6});
            tape.enter(0);
            const auto x = leaf(tape, {0, 0, {2, 5, 12}});
            const zp::AttentionOptions options{.heads = 2};
            objective(tape, zp::attention(tape, {x, 0, 4}, {x, 4, 4}, {x, 8, 4}, bias, options), 1);
            objective(tape, zp::attention(tape, {x, 8, 4}, {x, 0, 4}, {x, 4, 4}, bias, options), 2);
            tape.leave(0);
            tape.leave(1);
        },
        {}, 0.05);
}

TEST_CASE("a query that sees no key gets zero, and hidden keys have no part") {
    static const std::vector<std::uint8_t> mask{0, 0, 0, 1, 1, 0};
    Weights<float> weights{{2 * 3 * 6}};
    for (int i = 0; i < 6; ++i) weights.values[0][30 + i] = 1e15f;  // the last key, hidden
    zp::Arena<zp::Host> arena{"activations", 1 << 20};
    zp::Tape<float, zp::Host, zp::ReferenceProducts> tape;
    tape.start(arena, zp::Units<float>{weights}, {.gradients = false});
    tape.enter(0);
    const auto x = leaf(tape, {0, 0, {2, 3, 6}});
    const auto out = zp::attention(tape, {x, 0, 2}, {x, 2, 2}, {x, 4, 2}, {}, {.key_mask = mask});
    for (int i = 0; i < 6; ++i) CHECK(out.data()[i] == 0.0f);
    for (int i = 6; i < 12; ++i) CHECK(std::abs(out.data()[i]) < 10.0f);
}

TEST_CASE("keys beyond those that count are not read") {
    Weights<float> weights{{3 * 6}};
    zp::Arena<zp::Host> arena{"activations", 1 << 20};
    zp::Tape<float, zp::Host, zp::ReferenceProducts> tape;
    tape.start(arena, zp::Units<float>{weights}, {.gradients = false});
    tape.enter(0);
    const auto whole = leaf(tape, {0, 0, {1, 3, 6}});
    const auto start = tape.make(whole.data(), {1, 2, 6});
    const auto q = tape.make(whole.data(), {1, 1, 6});
    const auto from_cache =
        zp::attention(tape, {q, 0, 2}, {whole, 2, 2}, {whole, 4, 2}, {}, {.keys = 2});
    const auto from_start = zp::attention(tape, {q, 0, 2}, {start, 2, 2}, {start, 4, 2}, {}, {});
    for (int i = 0; i < 2; ++i) CHECK(from_cache.data()[i] == from_start.data()[i]);
}
