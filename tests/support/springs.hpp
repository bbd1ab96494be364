// SPDX-License-Identifier: Apache-2.0
/// \file A model for any device: each weight is pulled to a goal that differs by rank and step.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <zeropp/core/rng.hpp>
#include <zeropp/device/concepts.hpp>
#include <zeropp/model/concepts.hpp>

namespace zeropp::testing {

/// Where rank `rank` pulls the weights in micro-step `number`.
struct Pull {
    int rank = 0, number = 0;
};

/// gradient = scale * (weight - goal): exact operations, the same bits on every device.
template <Element E>
struct PullElement {
    const E* weight;
    E* gradient;
    float scale;
    std::uint32_t salt;

    ZEROPP_HD ZEROPP_INLINE void operator()(std::size_t i) const {
        const std::uint32_t mixed = (static_cast<std::uint32_t>(i) + salt) * 2654435761u;
        const float goal = static_cast<float>(mixed >> 20) * 0x1p-10f - 2.0f;
        gradient[i] = static_cast<E>(scale * (static_cast<float>(weight[i]) - goal));
    }
};

/// Five units of odd sizes; the first is resident.
template <Element E, Device D>
class Springs {
public:
    using Element = E;
    using Device = D;

    explicit Springs(D device = {}) : device_{device} {}
    D device() const { return device_; }
    std::vector<Unit> units() const {
        std::vector<Unit> units;
        const std::size_t sizes[] = {77, 5000, 1, 12345, 640};
        for (std::size_t u = 0; u < 5; ++u) {
            const std::string name = "spring" + std::to_string(u);
            units.push_back({.name = name, .parameters = {{.name = name, .shape = {sizes[u]}}}});
        }
        units[0].resident = true;
        return units;
    }
    void fill(std::size_t unit, std::size_t, std::size_t first, std::span<float> out) const {
        for (std::size_t i = 0; i < out.size(); ++i) out[i] = normal_at(7, unit, first + i);
    }
    Loss run(const Pull& pull, UnitObserver<E>& observer, float loss_scale) {
        for (std::size_t u = 0; u < 5; ++u) {
            observer.use(u);
            observer.release(u);
        }
        for (std::size_t u = 5; u-- > 0;) {
            const std::span<const E> weights = observer.use(u);
            const std::span<E> gradients = observer.gradient(u);
            for_each_element(
                device_, weights.size(),
                PullElement<E>{weights.data(), gradients.data(), loss_scale,
                               static_cast<std::uint32_t>(1000 * pull.number + 10 * pull.rank) +
                                   static_cast<std::uint32_t>(u) * 77777u});
            observer.ready(u);
            observer.release(u);
        }
        return {.sum = 1.0 + pull.rank, .tokens = 1};
    }

private:
    D device_;
};

}  // namespace zeropp::testing
