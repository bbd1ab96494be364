// SPDX-License-Identifier: Apache-2.0
/// \file The library's law on T5: all stages leave the same bits, on any number of ranks.
#include <bit>
#include <cstdint>
#include <string>
#include <vector>

#include <zeropp/comm/thread.hpp>
#include <zeropp/model/t5.hpp>
#include <zeropp/tensor/reference_products.hpp>
#include <zeropp/trainer.hpp>

#include "model/golden.hpp"
#include "support/catch.hpp"

namespace zp = zeropp;
using namespace zeropp::testing;

namespace {

struct Settings {
    std::string name = "gated_untied";
    int world = 2, steps = 3;
    zp::Accumulation accumulation{};
    float clip = 1.0f, dropout = 0.1f;
    bool recompute = false;
};

struct Result {
    std::vector<std::uint32_t> weights;  ///< bits of the fp32 master, in layout order
    std::vector<std::uint64_t> norms, losses;
    std::uint64_t bytes_sent = 0;  ///< of rank 0

    friend bool operator==(const Result&, const Result&) = default;
    bool same_values(const Result& other) const {
        return weights == other.weights && norms == other.norms && losses == other.losses;
    }
};

/// Random ids; lengths, padding and ignored labels differ by rank and step.
zp::Seq2SeqBatch batch_of(std::uint64_t number) {
    zp::Random random{number};
    zp::Seq2SeqBatch batch;
    batch.size = 2;
    batch.source_length = 3 + random.below(20);
    batch.target_length = 2 + random.below(9);
    for (std::size_t row = 0; row < batch.size; ++row) {
        const std::size_t source = row == 0 ? batch.source_length : 1 + random.below(3);
        const std::size_t target = row == 0 ? batch.target_length : 1 + random.below(2);
        for (std::size_t at = 0; at < batch.source_length; ++at) {
            batch.source_ids.push_back(at < source ? static_cast<int>(1 + random.below(39)) : 0);
            batch.source_mask.push_back(at < source);
        }
        for (std::size_t at = 0; at < batch.target_length; ++at)
            batch.labels.push_back(at < target ? static_cast<int>(1 + random.below(39))
                                               : zp::ignored_label);
        batch.ordinals.push_back(2 * number + row);
    }
    return batch;
}

template <class S, class E>
Result train(const Settings& settings) {
    Result result;
    zp::run_ranks(settings.world, [&](zp::ThreadComm comm) {
        auto model = zp::T5<E>::from_pretrained(golden_directory(settings.name),
                                                {.micro_batch = 2,
                                                 .max_source_length = 24,
                                                 .max_target_length = 12,
                                                 .dropout = settings.dropout,
                                                 .seed = 11,
                                                 .recompute = settings.recompute});
        zp::Trainer trainer{model,
                            comm,
                            S{},
                            zp::AdamW{.lr = 1e-2f, .weight_decay = 0.1f},
                            zp::ClipNorm{settings.clip},
                            settings.accumulation,
                            zp::Buckets{3000}};
        for (int s = 0; s < settings.steps * settings.accumulation.steps; ++s) {
            const auto number = static_cast<std::uint64_t>(s * settings.world + comm.rank());
            const zp::Step step = trainer.step(batch_of(number));
            if (comm.rank() == 0 && step.updated) {
                result.norms.push_back(std::bit_cast<std::uint64_t>(step.gradient_norm));
                result.losses.push_back(std::bit_cast<std::uint64_t>(step.loss));
            }
        }
        trainer.settle();
        if (comm.rank() == 0) result.bytes_sent = comm.bytes_sent();
        trainer.for_each_weight(
            [&](const zp::Parameter&, std::size_t, std::span<const float> values) {
                for (const float value : values)
                    result.weights.push_back(std::bit_cast<std::uint32_t>(value));
            });
    });
    return result;
}

template <class E>
void stages_agree(const Settings& settings) {
    CAPTURE(settings.name, settings.world);
    const Result reference = train<zp::Zero<0>, E>(settings);
    REQUIRE(reference.norms.size() == static_cast<std::size_t>(settings.steps));
    CHECK(reference.same_values(train<zp::Zero<1>, E>(settings)));
    CHECK(reference.same_values(train<zp::Zero<2>, E>(settings)));
    CHECK(reference.same_values(train<zp::Zero<3>, E>(settings)));
}

template <class E>
void stages_agree_in_every_world(Settings settings) {
    for (const int world : {1, 2, 3, 4}) {
        settings.world = world;
        stages_agree<E>(settings);
    }
}

using Reduce = zp::Accumulation::Reduce;

}  // namespace

TEST_CASE("all stages leave the same bits in a T5 in fp32", "[law]") {
    stages_agree_in_every_world<float>({});
    stages_agree_in_every_world<float>({.name = "relu_tied"});
    stages_agree<float>({.name = "old_config", .world = 3});
    stages_agree<float>({.name = "deep_decoder", .world = 3});
}

TEST_CASE("all stages leave the same bits in a T5 in bf16", "[law]") {
    stages_agree_in_every_world<zp::Bf16>({});
    stages_agree_in_every_world<zp::Bf16>({.name = "relu_tied"});
}

TEST_CASE("all stages leave the same bits in a T5 with accumulation", "[law]") {
    for (const Reduce reduce : {Reduce::every_micro_step, Reduce::once_a_step}) {
        stages_agree_in_every_world<float>({.name = "relu_tied", .accumulation = {2, reduce}});
        stages_agree<zp::Bf16>({.world = 3, .accumulation = {3, reduce}});
    }
}

TEST_CASE("all stages leave the same bits in a T5 where clipping acts", "[law]") {
    stages_agree_in_every_world<float>({.name = "relu_tied", .clip = 1e-3f});
    stages_agree<zp::Bf16>({.world = 3, .clip = 1e-3f});
}

TEST_CASE("dropout changes what a T5 learns, its seed and rate alone decide how") {
    const Result once = train<zp::Zero<2>, float>({});
    CHECK(once == train<zp::Zero<2>, float>({}));
    CHECK_FALSE(once == train<zp::Zero<2>, float>({.dropout = 0.0f}));
}

namespace {

thread_local int way = 0;

struct Ways : zp::ReferenceProducts {
    Ways() = default;
    explicit Ways(int) {}
    void describe(zp::Fingerprint& fields) const { fields.add("the way of products", way); }
};

}  // namespace

TEST_CASE("ranks whose products differ are refused") {
    CHECK_THROWS_WITH(
        zp::run_ranks(2,
                      [](zp::ThreadComm comm) {
                          way = comm.rank();
                          auto model = zp::T5<float, zp::Host, Ways>::from_pretrained(
                              golden_directory("gated_untied"), {.micro_batch = 1});
                          zp::Trainer trainer{model, comm};
                      }),
        "zeropp: start-up: the way of products is 0 on rank 0 and 1 on rank 1, expected the same "
        "on every rank");
}

TEST_CASE("computing blocks again leaves the same bits, and sends the same bytes", "[law]") {
    for (const int world : {1, 2, 3})
        for (const char* name : {"gated_untied", "relu_tied", "deep_decoder"}) {
            const auto same = [&]<class S, class E>(S, E) {
                Settings settings{.name = name, .world = world};
                const Result kept = train<S, E>(settings);
                settings.recompute = true;
                const Result again = train<S, E>(settings);
                CAPTURE(name, world, S::number);
                CHECK(kept == again);
            };
            same(zp::Zero<1>{}, float{});
            same(zp::Zero<3>{}, float{});
            same(zp::Zero<3>{}, zp::Bf16{});
            same(zp::Zero<2>{}, zp::Half{});
        }
}
