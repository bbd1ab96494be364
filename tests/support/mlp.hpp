// SPDX-License-Identifier: Apache-2.0
/// \file A small multi-layer perceptron with odd sizes, a shared resident unit, and (if asked) a
/// frozen unit, a frozen tensor and first layers that backward ends before: what the engine's tests
/// train.
#pragma once

#include <cmath>
#include <cstdint>
#include <span>
#include <vector>

#include <zeropp/core/rng.hpp>
#include <zeropp/device/host.hpp>
#include <zeropp/model/concepts.hpp>

namespace zeropp::testing {

struct MlpBatch {
    std::uint64_t seed = 0;  ///< inputs and goals are drawn from it
    std::size_t size = 3;
};

/// layers x: h <- tanh(W h + b + c), c shared by all layers; loss = mean squared error.
template <Element E>
class Mlp {
public:
    using Element = E;
    using Device = Host;

    explicit Mlp(std::size_t width = 13, std::size_t layers = 4, bool frozen = false,
                 std::size_t forward_only = 0)
        : width_{width}, layers_{layers}, forward_only_{forward_only}, frozen_{frozen} {}

    Host device() const { return {}; }
    std::vector<Unit> units() const {
        std::vector<Unit> units{{"shared", {{"shared.c", {width_}}}, true}};
        for (std::size_t l = 0; l < layers_; ++l) {
            const std::string name = "layer." + std::to_string(l);
            const bool forward_only = l < forward_only_;
            const bool frozen_unit = forward_only || (frozen_ && l == 1);
            const bool frozen_tensor = frozen_ && l == 2;
            units.push_back(
                {.name = name,
                 .parameters = {{name + ".weight", {width_, width_}, !frozen_unit},
                                {name + ".bias", {width_}, !frozen_unit && !frozen_tensor}},
                 .forward_only = forward_only});
        }
        return units;
    }
    void fill(std::size_t unit, std::size_t parameter, std::size_t first,
              std::span<float> out) const {
        for (std::size_t i = 0; i < out.size(); ++i)
            out[i] = 0.3f * normal_at(11, 2 * unit + parameter, first + i);
    }
    Loss evaluate(const MlpBatch& batch, UnitObserver<E>& observer) {
        return pass(batch, observer, 0, false);
    }
    Loss run(const MlpBatch& batch, UnitObserver<E>& observer, float loss_scale) {
        return pass(batch, observer, loss_scale, true);
    }

private:
    Loss pass(const MlpBatch& batch, UnitObserver<E>& observer, float loss_scale, bool backward) {
        const std::size_t n = width_, rows = batch.size, bias_at = parameter_offset(units()[1], 1);
        std::vector<std::vector<float>> h(layers_ + 1, std::vector<float>(rows * n));
        for (std::size_t i = 0; i < rows * n; ++i) h[0][i] = normal_at(batch.seed, 0, i);
        const auto c = observer.use(0);
        for (std::size_t l = 0; l < layers_; ++l) {
            const auto w = observer.use(l + 1);
            for (std::size_t r = 0; r < rows; ++r)
                for (std::size_t o = 0; o < n; ++o) {
                    float sum = static_cast<float>(w[bias_at + o]) + static_cast<float>(c[o]);
                    for (std::size_t i = 0; i < n; ++i)
                        sum = std::fma(static_cast<float>(w[o * n + i]), h[l][r * n + i], sum);
                    h[l + 1][r * n + o] = std::tanh(sum);
                }
            observer.release(l + 1);
        }
        std::vector<float> d(rows * n);
        double loss = 0;
        const float scale = 2 * loss_scale / static_cast<float>(rows * n);
        for (std::size_t i = 0; i < rows * n; ++i) {
            const float error = h[layers_][i] - std::tanh(normal_at(batch.seed, 1, i));
            loss += static_cast<double>(error) * error / static_cast<double>(rows * n);
            d[i] = scale * error;
        }
        if (!backward) {
            observer.release(0);
            return {.sum = loss * static_cast<double>(rows),
                    .tokens = static_cast<std::int64_t>(rows)};
        }
        std::vector<float> dc(n), below(rows * n), dw(n * n), db(n);
        for (std::size_t l = layers_; l-- > forward_only_;) {
            const auto w = observer.use(l + 1);
            const auto to = observer.gradient(l + 1);
            std::fill(below.begin(), below.end(), 0.0f), std::fill(dw.begin(), dw.end(), 0.0f),
                std::fill(db.begin(), db.end(), 0.0f);
            for (std::size_t r = 0; r < rows; ++r)
                for (std::size_t o = 0; o < n; ++o) {
                    const float y = h[l + 1][r * n + o], g = d[r * n + o] * std::fma(-y, y, 1.0f);
                    db[o] += g;
                    dc[o] += g;
                    for (std::size_t i = 0; i < n; ++i) {
                        dw[o * n + i] = std::fma(g, h[l][r * n + i], dw[o * n + i]);
                        below[r * n + i] =
                            std::fma(g, static_cast<float>(w[o * n + i]), below[r * n + i]);
                    }
                }
            if (!to.empty()) {
                for (std::size_t i = 0; i < n * n; ++i) to[i] = static_cast<E>(dw[i]);
                // Of a frozen bias there is none: it stands behind what is trained.
                for (std::size_t i = 0; i < n && to.size() > bias_at; ++i)
                    to[bias_at + i] = static_cast<E>(db[i]);
            }
            observer.ready(l + 1);
            observer.release(l + 1);
            d = below;
        }
        const auto to = observer.gradient(0);
        for (std::size_t i = 0; i < n; ++i) to[i] = static_cast<E>(dc[i]);
        observer.ready(0);
        observer.release(0);
        return {.sum = loss * static_cast<double>(rows), .tokens = static_cast<std::int64_t>(rows)};
    }

    std::size_t width_, layers_, forward_only_;
    bool frozen_;
};

}  // namespace zeropp::testing
