// SPDX-License-Identifier: Apache-2.0
/// \file What a training of `Springs` leaves, as bits.
#pragma once

#include <bit>
#include <cstdint>
#include <span>
#include <vector>

#include <zeropp/trainer.hpp>

#include "support/springs.hpp"

namespace zeropp::testing {

struct SpringsResult {
    std::vector<std::uint32_t> weights;  ///< of the fp32 master, in layout order
    std::vector<std::uint64_t> norms;
    std::uint64_t bytes_sent = 0;  ///< of rank 0

    friend bool operator==(const SpringsResult&, const SpringsResult&) = default;
    bool same_values(const SpringsResult& other) const {
        return weights == other.weights && norms == other.norms;
    }
};

/// On every rank; rank 0 fills `result`.
template <class S, class E, class D, class O, class C>
void train_springs(C& comm, SpringsResult& result, Accumulation accumulation = {}, float clip = 1,
                   int steps = 4) {
    Springs<E, D> model;
    Trainer trainer{model, comm, S{}, O{.lr = 0.01f}, ClipNorm{clip}, accumulation, Buckets{6000}};
    for (int s = 0; s < steps * accumulation.steps; ++s) {
        const Step step = trainer.step(Pull{comm.rank(), s});
        if (comm.rank() == 0 && step.updated)
            result.norms.push_back(std::bit_cast<std::uint64_t>(step.gradient_norm));
    }
    trainer.settle();
    if (comm.rank() == 0) result.bytes_sent = comm.bytes_sent();
    trainer.for_each_weight([&](const Parameter&, std::size_t, std::span<const float> values) {
        for (const float value : values)
            result.weights.push_back(std::bit_cast<std::uint32_t>(value));
    });
}

}  // namespace zeropp::testing
