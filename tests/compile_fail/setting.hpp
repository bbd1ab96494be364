// SPDX-License-Identifier: Apache-2.0
/// \file What the cases share: a model over arrays, a communicator, and a model of any element
/// type.
#pragma once

#include <vector>

#include <zeropp/comm/self.hpp>
#include <zeropp/trainer.hpp>

namespace zp = zeropp;

inline std::vector<float> weights(3), gradients(3);
inline zp::Spans model{weights, gradients};
inline zp::SelfComm comm;

struct Sample {};

template <zp::Element E>
struct ModelOf {
    using Element = E;
    using Device = zp::Host;
    zp::Host device() const { return {}; }
    std::vector<zp::Unit> units() const { return {}; }
    void fill(std::size_t, std::size_t, std::size_t, std::span<float>) const {}
    zp::Loss run(const Sample&, zp::UnitObserver<E>&, float) { return {}; }
};
