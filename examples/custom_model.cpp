// SPDX-License-Identifier: Apache-2.0
/// \example custom_model.cpp  A model with units: it says what it has, and tells the observer what
/// it uses, so that stage 3 can shard its parameters and reductions overlap its backward pass.
// expect: loss 0\.00[0-9]* after 300 steps, stage 3
#include <cstdio>
#include <random>

#include <zeropp/comm/thread.hpp>
#include <zeropp/core/rng.hpp>
#include <zeropp/trainer.hpp>

namespace zp = zeropp;

struct Sample {
    float x[2], y;
};

struct TwoLayers {  // y = sum_j v_j * (w_j . x)^2, one unit a layer
    using Element = float;
    using Device = zp::Host;
    static constexpr std::size_t width = 8;

    zp::Host device() const { return {}; }
    std::vector<zp::Unit> units() const {
        return {{"w", {{"w", {width, 2}}}}, {"v", {{"v", {width}}}}};
    }
    void fill(std::size_t unit, std::size_t, std::size_t first, std::span<float> out) const {
        for (std::size_t i = 0; i < out.size(); ++i)
            out[i] = 0.5f * zp::normal_at(7, unit, first + i);
    }
    zp::Loss run(const Sample& sample, zp::UnitObserver<float>& observer, float loss_scale) {
        float dot[width], output = 0;
        const auto w = observer.use(0);
        for (std::size_t j = 0; j < width; ++j)
            dot[j] = w[2 * j] * sample.x[0] + w[2 * j + 1] * sample.x[1];
        observer.release(0);
        auto v = observer.use(1);
        for (std::size_t j = 0; j < width; ++j) output += v[j] * dot[j] * dot[j];
        const float error = output - sample.y, d_output = loss_scale * 2 * error;
        observer.release(1);

        v = observer.use(1);  // backward: in reverse, gradients written, each unit ready when done
        const auto dv = observer.gradient(1);
        for (std::size_t j = 0; j < width; ++j) dv[j] = d_output * dot[j] * dot[j];
        for (std::size_t j = 0; j < width; ++j) dot[j] *= 2 * d_output * v[j];
        observer.ready(1), observer.release(1);
        observer.use(0);
        const auto dw = observer.gradient(0);
        for (std::size_t i = 0; i < 2 * width; ++i) dw[i] = dot[i / 2] * sample.x[i % 2];
        observer.ready(0), observer.release(0);
        return {.mean = error * error, .tokens = 1};
    }
};

int main() {
    zp::run_ranks(2, [](zp::ThreadComm comm) {
        TwoLayers model;
        zp::Trainer trainer{model, comm, zp::zero<3>, zp::AdamW{.lr = 0.02f, .weight_decay = 0},
                            zp::Accumulation{.steps = 4}};
        std::mt19937 random(static_cast<unsigned>(comm.rank()));
        std::uniform_real_distribution<float> uniform(-1, 1);
        double loss = 0;
        for (int step = 0; step < 300 * 4; ++step) {
            const float a = uniform(random), b = uniform(random);
            if (const zp::Step done = trainer.step(Sample{{a, b}, a * a - b * b}); done.updated)
                loss = done.loss;
        }
        if (comm.rank() == 0) std::printf("loss %.5f after 300 steps, stage 3\n", loss);
    });
}
