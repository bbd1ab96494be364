// SPDX-License-Identifier: Apache-2.0
/// \file The policies that are values: they change what a step does, not the trainer's type. Each
/// says what ranks have to agree on; the code finds a new one in the list at the end.
#pragma once

#include <concepts>
#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <zeropp/core/error.hpp>
#include <zeropp/core/fingerprint.hpp>
#include <zeropp/core/precision.hpp>
#include <zeropp/model/concepts.hpp>
#include <zeropp/optim/concepts.hpp>
#include <zeropp/optim/loss_scale.hpp>
#include <zeropp/optim/rule.hpp>

namespace zeropp {

/// Gradients are scaled by max_norm / (norm + 1e-6) where that is below 1; 0 switches it off.
struct ClipNorm {
    float max_norm = 1.0f;

    void check() const { detail::require_at_least_0("ClipNorm", "max_norm", max_norm); }
    void describe(Fingerprint& fields) const { fields.add("gradient clipping", max_norm); }
};

/// `steps` micro-steps a step. Reducing every micro-step keeps only this rank's shard of the sum;
/// reducing once a step keeps the whole sum and sends less.
struct Accumulation {
    enum class Reduce { by_stage, every_micro_step, once_a_step };

    int steps = 1;
    Reduce reduce = Reduce::by_stage;  ///< once for stages 0 and 1, every for 2 and 3

    void check() const {
        require(steps >= 1, Errc::config, "Accumulation: steps is ", steps,
                ", expected at least 1");
    }
    void describe(Fingerprint& fields) const {
        fields.add("gradient accumulation", steps);
        fields.add("reduction", static_cast<int>(reduce));
    }
};

/// The type that reduced gradients are rounded to and accumulated in. Default: the element type
/// with one micro-step a step, fp32 with more.
struct Gradients {
    std::optional<DType> type;

    void describe(Fingerprint& fields) const {
        fields.add("gradient type", std::string{type ? name_of(*type) : "by precision"});
    }
};

/// The formats of the optimizer's slots that it does not fix itself: bf16 takes half the bytes of
/// fp32, 8 bits about a quarter.
struct OptimizerStates {
    SlotFormat format = SlotFormat::float32;

    void describe(Fingerprint& fields) const {
        fields.add("optimizer states", std::string{name_of(format)});
    }
};

/// Parameters with rates of their own: the first group that matches a parameter's name has it. What
/// none matches is as the optimizer says. Schedules start from the group's lr.
struct ParameterGroup {
    std::function<bool(std::string_view name)> matches{};
    std::optional<float> lr{}, weight_decay{};

    GroupRates rates() const { return {lr, weight_decay}; }
};
struct ParameterGroups {
    std::vector<ParameterGroup> groups;

    void check() const {
        for (std::size_t i = 0; i < groups.size(); ++i) {
            const std::string where = "ParameterGroups: group " + std::to_string(i + 1);
            require(groups[i].matches != nullptr, Errc::config, where,
                    " matches nothing, expected a predicate of names");
            detail::require_at_least_0(where, "lr", groups[i].lr.value_or(0));
            detail::require_at_least_0(where, "weight_decay", groups[i].weight_decay.value_or(0));
        }
    }
    void describe(Fingerprint& fields) const {
        for (const ParameterGroup& group : groups) {
            fields.add("parameter group's lr", group.lr.value_or(-1));
            fields.add("parameter group's weight decay", group.weight_decay.value_or(-1));
        }
    }
    /// The units with each parameter in its group.
    std::vector<Unit> assigned(std::vector<Unit> units) const {
        for (Unit& unit : units)
            for (Parameter& parameter : unit.parameters) parameter.group = group_of(parameter.name);
        return units;
    }
    /// 0: no group's.
    int group_of(std::string_view name) const {
        for (std::size_t i = 0; i < groups.size(); ++i)
            if (groups[i].matches(name)) return static_cast<int>(i) + 1;
        return 0;
    }
};

/// A group without weight decay: of norms and biases, by their names.
inline ParameterGroups no_decay_on_norms() {
    const auto matches = [](std::string_view name) {
        return name.find("norm") != name.npos || name.find("bias") != name.npos;
    };
    return {{{.matches = matches, .weight_decay = 0.0f}}};
}

/// Upper bound of the elements that small units share a bucket up to.
struct Buckets {
    std::size_t elements = std::size_t{1} << 20;

    void describe(Fingerprint& fields) const { fields.add("bucket elements", elements); }
};

/// A step whose gradients are not finite is skipped on all ranks; so many in a row end the run,
/// which with a dynamic loss scale ends at its minimum instead.
struct SkipNonFinite {
    int most_in_a_row = 10;

    void check() const {
        require(most_in_a_row >= 1, Errc::config, "SkipNonFinite: most_in_a_row is ", most_in_a_row,
                ", expected at least 1");
    }
    void describe(Fingerprint& fields) const {
        fields.add("skipped steps in a row", most_in_a_row);
    }
};

/// Refuse to start if this rank's plan is larger. 0: no limit.
struct MemoryLimit {
    std::size_t bytes = 0;

    void describe(Fingerprint& fields) const { fields.add("memory limit", bytes); }
};

/// One value of each kind.
template <class... Os>
struct OptionList : Os... {
    template <class O>
    static constexpr bool has = (std::same_as<O, Os> || ...);

    template <class O>
    requires has<O> O& get() noexcept { return *this; }
    template <class O>
    requires has<O>
    const O& get() const noexcept { return *this; }
    void describe(Fingerprint& fields) const { (get<Os>().describe(fields), ...); }
};
using EngineOptions = OptionList<ClipNorm, Accumulation, SkipNonFinite, MemoryLimit, Gradients,
                                 Buckets, LossScale, OptimizerStates, ParameterGroups>;

}  // namespace zeropp
