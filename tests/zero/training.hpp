// SPDX-License-Identifier: Apache-2.0
/// \file Trains the test MLP and returns everything that must be equal: as one rank of any
/// communicator, or on a world of thread ranks.
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
    SlotFormat states = SlotFormat::float32;
    std::size_t bucket = 64, width = 13;
    bool frozen = false;
    std::size_t forward_only = 0;  ///< first layers, frozen, that backward ends before
};

struct Result {
    // Of rank 0.
    std::vector<std::uint32_t> weights;  ///< bits of the fp32 master, in layout order
    std::vector<std::uint64_t> norms, losses;
    // Of each rank that runs in this process.
    std::vector<std::uint64_t> bytes_sent;  ///< in the steps alone
    std::vector<std::size_t> reserved, used, planned;

    explicit Result(int world)
        : bytes_sent(static_cast<std::size_t>(world)),
          reserved(bytes_sent.size()),
          used(bytes_sent.size()),
          planned(bytes_sent.size()) {}

    bool same_values(const Result& other) const {
        return weights == other.weights && norms == other.norms && losses == other.losses;
    }
};

/// Collective.
template <class S, class O, class E, Communicator C>
void train_rank(C& comm, const Settings& settings, O optimizer, Result& result) {
    Mlp<E> model{settings.width, 4, settings.frozen, settings.forward_only};
    Trainer trainer{model,
                    comm,
                    S{},
                    optimizer,
                    WarmupLinear{.warmup = 2, .total = 20},
                    ClipNorm{settings.clip},
                    settings.accumulation,
                    Gradients{settings.gradient_type},
                    OptimizerStates{settings.states},
                    Buckets{settings.bucket}};
    const auto rank = static_cast<std::size_t>(comm.rank());
    const std::uint64_t before = comm.bytes_sent();
    for (int s = 0; s < settings.steps * settings.accumulation.steps; ++s) {
        const Step step =
            trainer.step(MlpBatch{.seed = std::uint64_t(1 + s * comm.size() + comm.rank())});
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
    trainer.for_each_weight([&](const Parameter&, std::size_t, std::span<const float> values) {
        for (const float value : values)
            result.weights.push_back(std::bit_cast<std::uint32_t>(value));
    });
}

template <class S, class O, class E = float>
Result train(const Settings& settings, O optimizer = {}) {
    Result result{settings.world};
    run_ranks(settings.world,
              [&](ThreadComm comm) { train_rank<S, O, E>(comm, settings, optimizer, result); });
    return result;
}

}  // namespace zeropp::testing
