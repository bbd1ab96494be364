// SPDX-License-Identifier: Apache-2.0
/// \file Frozen parameters: by name, without state, gradients and bytes on the wire, and in a T5.
#include <map>
#include <string>
#include <vector>

#include <zeropp/comm/thread.hpp>
#include <zeropp/format/t5_presets.hpp>
#include <zeropp/model/freeze.hpp>
#include <zeropp/model/t5.hpp>
#include <zeropp/trainer.hpp>

#include "model/golden.hpp"
#include "support/catch.hpp"
#include "support/temporary.hpp"

namespace zp = zeropp;
using namespace zeropp::testing;

namespace {

std::vector<zp::Unit> some_units() {
    return {{"shared", {{"shared.weight", {4, 8}}}, true},
            {"a", {{"a.weight", {8, 8}}, {"a.bias", {8}}}},
            {"b", {{"b.weight", {8, 8}}, {"b.bias", {8}}}}};
}
std::string refusal(const std::vector<std::string>& patterns) {
    return message_of([&] {
        std::vector<zp::Unit> units = some_units();
        zp::freeze(units, patterns);
    });
}
std::string frozen_names(const std::vector<std::string>& patterns) {
    std::vector<zp::Unit> units = some_units();
    zp::freeze(units, patterns);
    std::string names;
    for (const zp::Unit& unit : units)
        for (const zp::Parameter& parameter : unit.parameters)
            if (!parameter.trainable) names += parameter.name + " ";
    return names;
}

/// What one rank of two has and sends in two steps of a T5.
struct Cost {
    zp::MemoryPlan plan;
    std::uint64_t sent = 0;
    std::map<std::string, std::vector<float>> before, after;

    std::size_t bytes(std::string_view name) const { return plan.bytes_of(name); }
};

template <class S, class E>
Cost train(const std::vector<std::string>& frozen, const std::string& name = "gated_untied",
           bool recompute = false, int ranks = 2) {
    Cost cost;
    const Golden golden{name};
    zp::run_ranks(ranks, [&](zp::ThreadComm comm) {
        auto model = zp::T5<E>::from_pretrained(golden_directory(name), {.micro_batch = 3,
                                                                         .max_source_length = 150,
                                                                         .max_target_length = 11,
                                                                         .recompute = recompute,
                                                                         .frozen = frozen});
        zp::Trainer trainer{model, comm, S{}, zp::AdamW{.lr = 1e-2f}, zp::Buckets{1}};
        const auto weights = [&](auto& to) {
            trainer.for_each_weight(
                [&](const zp::Parameter& parameter, std::size_t, std::span<const float> values) {
                    to[parameter.name].assign(values.begin(), values.end());
                });
        };
        weights(cost.before);
        const std::uint64_t before = comm.bytes_sent();
        for (int i = 0; i < 2; ++i) trainer.step(golden.batch());
        trainer.settle();
        if (comm.rank() == 0) {
            cost.sent = comm.bytes_sent() - before;
            cost.plan = trainer.plan();
        }
        weights(cost.after);
    });
    return cost;
}

/// Padded elements of what is trained, of the others, and the longest list of gathers at stage 3 in
/// a step: encoder and decoder forward and backward.
struct Sizes {
    std::size_t trained = 0, frozen = 0, buckets = 0;
};
Sizes sizes_of(const std::string& name, const std::vector<std::string>& patterns) {
    Sizes sizes;
    const zp::T5Layout t5{zp::read_t5_config(golden_directory(name) / "config.json"), patterns};
    const zp::Layout layout{t5.units(), {.shard = 2}, 1};
    for (const zp::Bucket& bucket : layout.buckets()) {
        sizes.trained += bucket.active;
        sizes.frozen += bucket.padded - bucket.active;
    }
    sizes.buckets = layout.buckets().size();
    return sizes;
}

}  // namespace

TEST_CASE("parameters are frozen by patterns of their names") {
    CHECK(frozen_names({}) == "");
    CHECK(frozen_names({"shared.weight"}) == "shared.weight ");
    CHECK(frozen_names({"a.*"}) == "a.weight a.bias ");
    CHECK(frozen_names({"*.bias", "?.bias", "b*"}) == "a.bias b.weight b.bias ");
}

TEST_CASE("a pattern that matches nothing is refused with the names that come near") {
    CHECK(refusal({"*.bias", "a.wieght"}) ==
          "zeropp: freeze: no parameter is called 'a.wieght', expected one that the pattern "
          "matches, such as 'a.weight', 'b.weight', 'a.bias'");
    CHECK(refusal({"*"}) ==
          "zeropp: freeze: all parameters are frozen, expected at least one to train");
    CHECK(message_of([] {
              zp::T5<float>::with_random_weights(zp::t5_preset("t5-small"), 1,
                                                 {.frozen = {"lm_head.weight"}});
          }) ==
          "zeropp: freeze: no parameter is called 'lm_head.weight', expected one that the pattern "
          "matches, such as 'shared.weight', 'encoder.final_layer_norm.weight', "
          "'decoder.final_layer_norm.weight'");
}

TEST_CASE("frozen units take parameters alone, in memory and on the wire") {
    const auto check = [](const std::string& name, const std::vector<std::string>& patterns) {
        CAPTURE(name, patterns.size());
        const Sizes sizes = sizes_of(name, patterns);
        REQUIRE(sizes.frozen > 0);
        const std::size_t all = sizes.trained + sizes.frozen;
        // The loss, the tokens and a partial norm a bucket, in two steps.
        const std::size_t told = 2 * (sizes.buckets + 2) * sizeof(double);
        const auto two = [&](const Cost& cost, std::size_t parameters, std::size_t share) {
            CHECK(cost.bytes("parameters") == parameters * 4);
            for (const zp::Slot& slot : zp::AdamW::slots)
                CHECK(cost.bytes(slot.name) == sizes.trained * 4 / share);
        };
        const Cost zero0 = train<zp::Zero<0>, float>(patterns, name);
        two(zero0, all, 1);
        CHECK(zero0.bytes("gradients") == sizes.trained * 4);
        // Gradients there and back: twice half of them in each of two steps.
        CHECK(zero0.sent - told == 2 * sizes.trained * 4);
        const Cost zero2 = train<zp::Zero<2>, float>(patterns, name);
        two(zero2, all, 2);
        CHECK(zero2.bytes("gradients") == sizes.trained * 4 / 2);
        CHECK(zero2.sent - told == 2 * sizes.trained * 4);
        const Cost zero3 = train<zp::Zero<3>, float>(patterns, name);
        two(zero3, all / 2, 2);
        CHECK(zero3.bytes("gradients") == sizes.trained * 4 / 2);
        const Cost bf16 = train<zp::Zero<1>, zp::Bf16>(patterns, name);
        CHECK(bf16.bytes(zp::master_row(zp::DType::bf16).name) == sizes.trained * 2 / 2);
        CHECK(bf16.bytes("gradients") == sizes.trained * 2);
    };
    check("gated_untied", {"encoder.*"});
    check("gated_untied", {"shared.weight"});
    check("relu_tied", {"decoder.block.0.*"});
    check("relu_tied", {"shared.weight", "encoder.*"});
    check("relu_tied", {"encoder.*", "decoder.*"});
    check("gated_untied", {"shared.weight", "encoder.*", "decoder.*"});
    check("gated_untied", {"*.DenseReluDense.*", "*.EncDecAttention.k.weight", "shared.weight"});
    check("relu_tied", {"*.SelfAttention.*", "*.EncDecAttention.*"});
}

TEST_CASE("a T5's units end with what is frozen, where it costs nothing") {
    const auto trained = [](const std::vector<std::string>& patterns) {
        const zp::T5Layout t5{zp::t5_preset("t5-small"), patterns};
        std::size_t gradients = 0, parameters = 0;
        for (const zp::Unit& unit : t5.units()) {
            gradients += zp::gradient_size(unit);
            for (const zp::Parameter& parameter : unit.parameters)
                parameters += parameter.trainable ? parameter.size() : 0;
        }
        return std::pair{gradients, parameters};
    };
    for (const std::vector<std::string>& patterns :
         std::vector<std::vector<std::string>>{{},
                                               {"*.layer_norm.weight"},
                                               {"*Attention.?.weight", "*.DenseReluDense.*"},
                                               {"shared.weight", "*.SelfAttention.*"},
                                               {"*.o.weight", "*.EncDecAttention.q.weight"}}) {
        const auto [gradients, parameters] = trained(patterns);
        CHECK(gradients == parameters);
    }
    // q, k and v are one product, whose gradients come together.
    const auto [gradients, parameters] = trained({"*.SelfAttention.k.weight"});
    CHECK(gradients == parameters + 12 * 512 * 512);
}

TEST_CASE("a T5's encoder is forward only where nothing before the decoder is trained") {
    const auto forward_only = [](const std::vector<std::string>& patterns) {
        const zp::T5Layout t5{zp::t5_preset("t5-small"), patterns};
        std::string names;
        for (const zp::Unit& unit : t5.units())
            if (unit.forward_only) names += unit.name + " ";
        return names;
    };
    CHECK(forward_only({}) == "");
    CHECK(forward_only({"encoder.*"}) == "");
    CHECK(forward_only({"shared.weight", "encoder.block.*"}) == "");
    CHECK(forward_only({"shared.weight", "encoder.*"}) ==
          "encoder.position_bias encoder.block.0 encoder.block.1 encoder.block.2 encoder.block.3 "
          "encoder.block.4 encoder.block.5 ");
}

TEST_CASE("a frozen tensor beside trained ones keeps its value") {
    const std::vector<std::string> patterns{"*.layer_norm.weight", "*.SelfAttention.q.weight"};
    const Cost whole = train<zp::Zero<2>, float>({}), mixed = train<zp::Zero<2>, float>(patterns);
    CHECK(mixed.plan.total() < whole.plan.total());
    CHECK(mixed.sent < whole.sent);
    std::size_t kept = 0;
    for (const auto& [name, values] : mixed.before)
        if (zp::matches(patterns[0], name) || zp::matches(patterns[1], name)) {
            CAPTURE(name);
            CHECK(mixed.after.at(name) == values);
            ++kept;
        } else {
            CHECK(mixed.after.at(name) != values);
        }
    CHECK(kept > 4);
}

TEST_CASE("what stands behind a frozen encoder is trained as beside one that is not", "[law]") {
    for (const std::string name : {"gated_untied", "deep_decoder", "scaled_untied"})
        for (const bool recompute : {false, true}) {
            CAPTURE(name, recompute);
            const Golden golden{name};
            const auto gradients = [&](const std::vector<std::string>& frozen) {
                auto model = zp::T5<float>::from_pretrained(golden_directory(name),
                                                            {.micro_batch = 3,
                                                             .max_source_length = 150,
                                                             .max_target_length = 11,
                                                             .recompute = recompute,
                                                             .frozen = frozen});
                Recorder recorder{model};
                model.run(golden.batch(), recorder, 1.0f);
                CHECK(recorder.mistakes == 0);
                return std::pair{recorder.gradients(), model.activation_bytes()};
            };
            const auto [all, bytes] = gradients({});
            const auto partly =
                gradients({"*.layer_norm.weight", "*Attention.o.weight", "*.SelfAttention.?.weight",
                           "*.EncDecAttention.q.weight", "*.wi*"})
                    .first;
            CHECK(partly.size() < all.size());
            for (const auto& [parameter, values] : partly) CHECK(all.at(parameter) == values);
            const auto [some, fewer] = gradients({"encoder.*", "shared.weight"});
            CHECK(fewer < bytes);
            CHECK(some.size() < all.size());
            for (const auto& [parameter, values] : some) {
                CAPTURE(parameter);
                CHECK(parameter.starts_with("encoder") == false);
                CHECK(all.at(parameter) == values);
            }
        }
}

TEST_CASE("all stages leave the same bits in a T5 with frozen parameters", "[law]") {
    for (const std::vector<std::string>& patterns :
         std::vector<std::vector<std::string>>{{"encoder.*", "shared.weight"},
                                               {"encoder.block.0.*", "*.layer_norm.weight"},
                                               {"*Attention.?.weight", "*.DenseReluDense.wi*"},
                                               {"encoder.*", "decoder.*"},
                                               {"decoder.*"}})
        for (const bool recompute : {false, true}) {
            const auto expected = train<zp::Zero<0>, float>(patterns, "relu_tied").after;
            CHECK(expected == train<zp::Zero<1>, float>(patterns, "relu_tied", recompute).after);
            CHECK(expected == train<zp::Zero<2>, float>(patterns, "relu_tied", recompute).after);
            CHECK(expected == train<zp::Zero<3>, float>(patterns, "relu_tied", recompute).after);
            const auto bf16 = train<zp::Zero<0>, zp::Bf16>(patterns, "relu_tied", false, 3).after;
            CHECK(bf16 == train<zp::Zero<2>, zp::Bf16>(patterns, "relu_tied", recompute, 3).after);
            CHECK(bf16 == train<zp::Zero<3>, zp::Bf16>(patterns, "relu_tied", recompute, 3).after);
        }
}
