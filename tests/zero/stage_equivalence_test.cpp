// SPDX-License-Identifier: Apache-2.0
/// \file The law that the library rests on: all stages leave the same bits.
#include <zeropp/comm/self.hpp>

#include "support/catch.hpp"
#include "zero/trained.hpp"

using namespace zeropp;
using namespace zeropp::testing;

namespace zeropp::testing {
ZEROPP_TRAINED()
}

namespace {

template <class O, class E>
void stages_agree(const Settings& settings) {
    const Result reference = train<Zero<0>, O, E>(settings);
    REQUIRE(reference.norms.size() == static_cast<std::size_t>(settings.steps));
    CHECK(reference.same_values(train<Zero<1>, O, E>(settings)));
    CHECK(reference.same_values(train<Zero<2>, O, E>(settings)));
    CHECK(reference.same_values(train<Zero<3>, O, E>(settings)));
}

template <class O, class E>
void stages_agree_in_every_world(Settings settings) {
    for (const int world : {1, 2, 3, 4}) {
        settings.world = world;
        INFO("world " << world);
        stages_agree<O, E>(settings);
    }
}

using Reduce = Accumulation::Reduce;

}  // namespace

TEST_CASE("all stages leave the same bits in fp32", "[law]") {
    stages_agree_in_every_world<AdamW, float>({});
    stages_agree_in_every_world<MomentumSgd, float>({});
    stages_agree_in_every_world<MomentumSgd, float>({.clip = 0});
}

TEST_CASE("all stages leave the same bits in bf16", "[law]") {
    stages_agree_in_every_world<AdamW, Bf16>({});
    stages_agree_in_every_world<AdamW, Bf16>({.gradient_type = DType::fp32});
}

TEST_CASE("all stages leave the same bits with accumulation, reduced every micro-step or once",
          "[law]") {
    for (const Reduce reduce : {Reduce::every_micro_step, Reduce::once_a_step}) {
        stages_agree_in_every_world<AdamW, float>({.accumulation = {3, reduce}});
        stages_agree_in_every_world<AdamW, Bf16>({.accumulation = {3, reduce}});
        stages_agree<AdamW, Bf16>({.accumulation = {2, reduce}, .gradient_type = DType::bf16});
    }
}

TEST_CASE("all stages leave the same bits where clipping acts", "[law]") {
    stages_agree_in_every_world<AdamW, float>({.clip = 1e-3f});
    stages_agree<AdamW, Bf16>({.world = 3, .clip = 1e-3f});
}

TEST_CASE("all stages leave the same bits with frozen units and tensors", "[law]") {
    stages_agree_in_every_world<AdamW, float>({.frozen = true});
    stages_agree<AdamW, Bf16>({.world = 3, .frozen = true});
}

TEST_CASE("all stages leave the same bits with odd sizes and any bucket size", "[law]") {
    for (const std::size_t width : {1, 7, 31})
        for (const std::size_t bucket : {std::size_t{1}, std::size_t{300}, std::size_t{1} << 20})
            stages_agree<AdamW, float>({.world = 3, .steps = 2, .bucket = bucket, .width = width});
}

TEST_CASE("a world of one leaves the same bits as one thread rank", "[law]") {
    const Settings settings{.world = 1, .accumulation = {2, Reduce::every_micro_step}};
    SelfComm comm;
    Result whole{1}, sharded{1};
    train_rank<Zero<0>, AdamW, float>(comm, settings, AdamW{}, whole);
    train_rank<Zero<3>, AdamW, float>(comm, settings, AdamW{}, sharded);
    const Result thread = train<Zero<2>, AdamW>(settings);
    CHECK(whole.same_values(thread));
    CHECK(sharded.same_values(thread));
}

TEST_CASE("the bucket size does not change what a world of one leaves") {
    const Result small = train<Zero<2>, AdamW>({.world = 1, .clip = 0, .bucket = 1});
    const Result large = train<Zero<2>, AdamW>({.world = 1, .clip = 0, .bucket = 1 << 20});
    CHECK(small.weights == large.weights);
}

TEST_CASE("frozen parameters keep their bits and trained ones change") {
    const Mlp<float> model{13, 4, true};
    std::vector<float> first(13 * 13);
    model.fill(2, 0, 0, first);  // layer.1.weight, frozen
    const Result result = train<Zero<2>, AdamW>({.frozen = true});
    const std::size_t at = 13 + (13 * 13 + 13);  // after shared.c and layer.0
    for (std::size_t i = 0; i < first.size(); ++i)
        REQUIRE(result.weights[at + i] == std::bit_cast<std::uint32_t>(first[i]));
    model.fill(1, 0, 0, first);  // layer.0.weight
    CHECK(result.weights[13] != std::bit_cast<std::uint32_t>(first[0]));
}
