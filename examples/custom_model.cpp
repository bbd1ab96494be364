// SPDX-License-Identifier: Apache-2.0
/// \example custom_model.cpp  A model with units: it says what it has, and tells the observer what
/// it uses, so that stage 3 can shard its parameters and reductions overlap its backward pass.
// expect: loss 0\.00[0-9]* after 300 steps, stage 3
#include <array>
#include <cstdio>

#include <zeropp/comm/thread.hpp>
#include <zeropp/core/rng.hpp>
#include <zeropp/trainer.hpp>

namespace zp = zeropp;

using Sample = std::array<float, 3>;  // x_0, x_1, y

struct TwoLayers {  // y = sum_j v_j * (w_j . x)^2, one unit a layer
    using Element = float;
    using Device = zp::Host;
    static constexpr std::size_t width = 8;

    zp::Host device() const { return {}; }
    std::vector<zp::Unit> units() const {
        return {{"w", {{"w", {width, 2}}}}, {"v", {{"v", {width}}}}};
    }
    void fill(std::size_t unit, std::size_t, std::size_t first, std::span<float> out) const {
        for (std::size_t i = 0; i < out.size(); ++i) out[i] = zp::normal_at(7, unit, first + i);
    }
    zp::Loss run(const Sample& xy, zp::UnitObserver<float>& observer, float loss_scale) {
        float dot[width], output = 0;
        const auto w = observer.use(0);
        for (std::size_t j = 0; j < width; ++j) dot[j] = w[2 * j] * xy[0] + w[2 * j + 1] * xy[1];
        observer.release(0);
        const auto v = observer.use(1);
        for (std::size_t j = 0; j < width; ++j) output += v[j] * dot[j] * dot[j];
        const float error = output - xy[2], d_output = loss_scale * 2 * error;
        const auto dv = observer.gradient(1);  // backward: in reverse, gradients are written
        for (std::size_t j = 0; j < width; ++j) dv[j] = d_output * dot[j] * dot[j];
        for (std::size_t j = 0; j < width; ++j) dot[j] *= 2 * d_output * v[j];
        observer.ready(1), observer.release(1);
        observer.use(0);
        const auto dw = observer.gradient(0);
        for (std::size_t i = 0; i < 2 * width; ++i) dw[i] = dot[i / 2] * xy[i % 2];
        observer.ready(0), observer.release(0);
        return {.sum = error * error, .tokens = 1};
    }
};

int main() {
    zp::run_ranks(2, [](zp::ThreadComm comm) {
        TwoLayers model;
        zp::Trainer trainer{model, comm, zp::zero<3>, zp::AdamW{.lr = 0.02f, .weight_decay = 0},
                            zp::Accumulation{.steps = 4}};
        zp::Step step;
        for (int i = 0; step.index < 300; ++i) {  // every rank sees its own data
            const auto x = [&](int n) { return 0.4f * zp::normal_at(comm.rank(), i, n); };
            step = trainer.step(Sample{x(0), x(1), x(0) * x(0) - x(1) * x(1)});
        }
        if (comm.rank() == 0) std::printf("loss %.5f after 300 steps, stage 3\n", step.loss);
    });
}
