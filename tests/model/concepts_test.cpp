// SPDX-License-Identifier: Apache-2.0
/// \file Counts of a model's elements: what cannot be counted is refused.
#include <cstddef>
#include <vector>

#include <zeropp/format/t5_config.hpp>
#include <zeropp/model/concepts.hpp>
#include <zeropp/model/t5_layout.hpp>

#include "support/catch.hpp"
#include "support/temporary.hpp"

namespace zp = zeropp;
using zp::testing::message_of;

namespace {

constexpr std::size_t root = std::size_t{1} << 24;

}  // namespace

TEST_CASE("a parameter of more elements than can be counted is refused") {
    const auto size_of = [](std::vector<std::size_t> shape) {
        return zp::Parameter{"w", shape}.size();
    };
    CHECK(size_of({root, root}) == root * root);
    CHECK(size_of({0, root, root, root}) == 0);
    for (const auto& shape : {std::vector{root, root, std::size_t{2}}, std::vector(8, root)})
        CHECK(message_of([&] { size_of(shape); }) ==
              "zeropp: parameter 'w': has more than 281474976710656 elements, expected at most as "
              "many");
}

TEST_CASE("a model of more parameters than can be counted is refused") {
    zp::T5Config config;
    config.d_model = config.d_ff = root;
    config.vocab_size = 2;
    config.num_layers = config.num_decoder_layers = 1;
    CHECK(message_of([&] { zp::parameter_count(zp::T5Layout{config}.units()); }) ==
          "zeropp: model: has more than 281474976710656 parameters up to "
          "'encoder.block.0.layer.1.DenseReluDense.wi.weight', expected at most as many");
}
