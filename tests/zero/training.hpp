// SPDX-License-Identifier: Apache-2.0
/// \file Trains the test MLP on a world of thread ranks and returns everything that must be equal.
#pragma once

#include <bit>
#include <cstdint>
#include <string>
#include <vector>

#include <zeropp/comm/thread.hpp>
#include <zeropp/trainer.hpp>

#include "support/mlp.hpp"

namespace zeropp::testing {

struct Settings {
    int world = 2, steps = 5;
    Accumulation accumulation{};
    float clip = 1.0f;
    std::optional<DType> gradient_type{};
    std::size_t bucket = 64, width = 13;
    bool frozen = false;
};

struct Result {
    std::vector<std::uint32_t> weights;  ///< bits of the fp32 master, in layout order
    std::vector<std::uint64_t> norms, losses;
    std::vector<std::uint64_t> bytes_sent;             ///< of each rank, in the steps alone
    std::vector<std::size_t> reserved, used, planned;  ///< of each rank

    bool same_values(const Result& other) const {
        return weights == other.weights && norms == other.norms && losses == other.losses;
    }
};

template <class S, class O, class E = float>
Result train(const Settings& settings, O optimizer = {}) {
    const auto world = static_cast<std::size_t>(settings.world);
    Result result;
    result.bytes_sent.resize(world);
    result.reserved.resize(world);
    result.used.resize(world);
    result.planned.resize(world);
    run_ranks(settings.world, [&](ThreadComm comm) {
        Mlp<E> model{settings.width, 4, settings.frozen};
        Trainer trainer{model,
                        comm,
                        S{},
                        optimizer,
                        WarmupLinear{.warmup = 2, .total = 20},
                        ClipNorm{settings.clip},
                        settings.accumulation,
                        Gradients{settings.gradient_type},
                        Buckets{settings.bucket}};
        const auto rank = static_cast<std::size_t>(comm.rank());
        const std::uint64_t before = comm.bytes_sent();
        for (int s = 0; s < settings.steps * settings.accumulation.steps; ++s) {
            const Step step =
                trainer.step(MlpBatch{.seed = std::uint64_t(1 + s * settings.world + comm.rank())});
            if (comm.rank() == 0 && step.updated) {
                result.norms.push_back(std::bit_cast<std::uint64_t>(step.gradient_norm));
                result.losses.push_back(std::bit_cast<std::uint64_t>(step.loss));
            }
        }
        trainer.settle();
        result.bytes_sent[rank] = comm.bytes_sent() - before;
        result.reserved[rank] = trainer.engine().bytes_reserved();
        result.used[rank] = trainer.engine().bytes_used();
        result.planned[rank] = trainer.plan().total();
        trainer.for_each_weight([&](const Parameter&, std::span<const float> values) {
            for (const float value : values)
                result.weights.push_back(std::bit_cast<std::uint32_t>(value));
        });
    });
    return result;
}

/// The combinations that the tests train, compiled once (in stage_equivalence_test.cpp).
#define ZEROPP_TRAINED_STAGES(PREFIX, OPTIMIZER, ELEMENT)                                  \
    PREFIX template Result train<Zero<0>, OPTIMIZER, ELEMENT>(const Settings&, OPTIMIZER); \
    PREFIX template Result train<Zero<1>, OPTIMIZER, ELEMENT>(const Settings&, OPTIMIZER); \
    PREFIX template Result train<Zero<2>, OPTIMIZER, ELEMENT>(const Settings&, OPTIMIZER); \
    PREFIX template Result train<Zero<3>, OPTIMIZER, ELEMENT>(const Settings&, OPTIMIZER);
#define ZEROPP_TRAINED(PREFIX)                  \
    ZEROPP_TRAINED_STAGES(PREFIX, AdamW, float) \
    ZEROPP_TRAINED_STAGES(PREFIX, AdamW, Bf16)  \
    ZEROPP_TRAINED_STAGES(PREFIX, MomentumSgd, float)

ZEROPP_TRAINED(extern)

}  // namespace zeropp::testing
