// SPDX-License-Identifier: Apache-2.0
/// \file `Spans`: your own arrays as a model, parameters and gradients. Borrows both.
#pragma once

#include <algorithm>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <zeropp/core/error.hpp>
#include <zeropp/device/host.hpp>
#include <zeropp/model/concepts.hpp>

namespace zeropp {

/// Fill the gradients, call `trainer.step()`, read the parameters. Set the parameters before the
/// trainer is made: it starts from those of rank 0.
class Spans {
public:
    using Element = float;
    using Device = Host;

    struct Array {
        std::string name;
        std::span<float> parameters, gradients;
        bool trainable = true;
    };

    Spans(std::span<float> parameters, std::span<float> gradients)
        : Spans{std::vector<Array>{{"parameters", parameters, gradients}}} {}
    explicit Spans(std::vector<Array> arrays) : arrays_{std::move(arrays)} {
        for (const Array& array : arrays_)
            require(array.parameters.size() == array.gradients.size(), Errc::shape, "Spans: '",
                    array.name, "' has ", array.gradients.size(),
                    " gradients, expected one a parameter: ", array.parameters.size());
    }

    Host device() const noexcept { return {}; }
    std::vector<Unit> units() const {
        std::vector<Unit> units;
        for (const Array& array : arrays_)
            units.push_back(
                {array.name, {{array.name, {array.parameters.size()}, array.trainable}}});
        return units;
    }
    void fill(std::size_t unit, std::size_t, std::size_t first, std::span<float> out) const {
        const std::span<float> from = arrays_[unit].parameters.subspan(first, out.size());
        std::copy(from.begin(), from.end(), out.begin());
    }

    /// Hands the gradients that the user has filled to the observer, times `loss_scale`.
    void give_gradients(UnitObserver<float>& observer, float loss_scale) const {
        for (std::size_t u = arrays_.size(); u-- > 0;) {
            const std::span<float> to = observer.gradient(u);
            if (to.empty()) continue;
            const std::span<const float> from = arrays_[u].gradients;
            for (std::size_t i = 0; i < from.size(); ++i) to[i] = loss_scale * from[i];
            observer.ready(u);
        }
    }
    void take_parameters(UnitObserver<float>& observer) const {
        for (std::size_t u = 0; u < arrays_.size(); ++u) {
            const std::span<const float> from = observer.use(u);
            std::copy_n(from.begin(), arrays_[u].parameters.size(), arrays_[u].parameters.begin());
            observer.release(u);
        }
    }
    std::span<const Array> arrays() const noexcept { return arrays_; }

private:
    std::vector<Array> arrays_;
};
static_assert(Model<Spans>);

}  // namespace zeropp
