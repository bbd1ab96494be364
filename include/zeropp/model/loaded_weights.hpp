// SPDX-License-Identifier: Apache-2.0
/// \file `LoadedWeights`: a model's first weights on this process, to run it without a trainer.
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <vector>

#include <zeropp/core/error.hpp>
#include <zeropp/core/master_split.hpp>
#include <zeropp/device/arena.hpp>
#include <zeropp/model/concepts.hpp>

namespace zeropp {

/// All parameters in one arena, filled by the model when made. Has no gradients.
template <Model M>
class LoadedWeights final : public UnitObserver<typename M::Element> {
public:
    using Element = typename M::Element;

    explicit LoadedWeights(const M& model) : arena_{"weights", bytes(model), model.device()} {
        const std::vector<Unit> units = model.units();
        std::vector<float> block(std::size_t{1} << 16);
        for (std::size_t u = 0; u < units.size(); ++u) {
            const std::span<Element> values = arena_.template take<Element>(unit_size(units[u]));
            for (std::size_t p = 0; p < units[u].parameters.size(); ++p) {
                const std::size_t size = units[u].parameters[p].size(),
                                  offset = parameter_offset(units[u], p);
                for (std::size_t first = 0; first < size; first += block.size()) {
                    const auto part = std::span{block}.first(std::min(block.size(), size - first));
                    model.fill(u, p, first, part);
                    require_held<Element>(units[u].parameters[p], first, part);
                    std::ranges::transform(part, values.data() + offset + first,
                                           published<Element>);
                }
            }
            units_.push_back(values);
        }
    }
    LoadedWeights(const LoadedWeights&) = delete;
    LoadedWeights& operator=(const LoadedWeights&) = delete;

    std::span<const Element> use(std::size_t unit) override { return units_[unit]; }
    void release(std::size_t) override {}
    std::span<Element> gradient(std::size_t) override {
        fail(Errc::config, "LoadedWeights: gradients are asked for, expected a run without them; ",
             "use a Trainer to train");
    }
    void ready(std::size_t) override {}

    std::size_t bytes() const noexcept { return arena_.capacity(); }

private:
    static std::size_t bytes(const M& model) {
        std::size_t total = 0;
        for (const Unit& unit : model.units())
            total += Arena<typename M::Device>::rounded(unit_size(unit) * sizeof(Element));
        return total;
    }

    Arena<typename M::Device> arena_;
    std::vector<std::span<Element>> units_;
};

}  // namespace zeropp
