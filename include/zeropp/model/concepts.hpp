// SPDX-License-Identifier: Apache-2.0
/// \file What zeropp asks of a model: its units and parameters, where their values come from, and
/// a run forward and backward that tells an observer what it touches.
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <zeropp/core/error.hpp>
#include <zeropp/core/precision.hpp>
#include <zeropp/device/concepts.hpp>

namespace zeropp {

struct Fingerprint;

/// Elements of a parameter, and of a model, at most: beyond any memory, and few enough that no
/// count of bytes overflows.
inline constexpr std::size_t largest_model = std::size_t{1} << 48;

struct Parameter {
    std::string name;                ///< checkpoint key
    std::vector<std::size_t> shape;  ///< C order
    bool trainable = true;
    int group = 0;  ///< parameters of one group are updated alike
    /// The axis that a tensor group's ranks divide among them; without one each has all of it.
    std::optional<std::size_t> tensor_axis{};

    std::size_t size() const {
        std::size_t count = 1;
        for (const std::size_t extent : shape) {
            require(extent == 0 || count <= largest_model / extent, Errc::shape, "parameter '",
                    name, "': has more than ", largest_model,
                    " elements, expected at most as many");
            count *= extent;
        }
        return count;
    }
};

/// Parameters that are used together: a transformer block, an embedding. Gathered, released and
/// reduced as one.
struct Unit {
    std::string name;
    std::vector<Parameter> parameters;
    /// Used by several other units (a shared embedding): stays from its first to its last use.
    bool resident = false;
    /// Frozen as a whole, and backward ends before it: a training uses it in forward alone.
    bool forward_only = false;
    /// The first so many parameters have gradients even where the last of them are frozen, as they
    /// are computed together; those after the last trainable one have none otherwise.
    std::size_t joint_gradients = 0;
};

/// Elements from the unit's first parameter to parameter `index`: each one starts at a multiple of
/// `parameter_alignment` elements, in every precision.
inline constexpr std::size_t parameter_alignment = 128;
inline std::size_t parameter_offset(const Unit& unit, std::size_t index) {
    std::size_t at = 0;
    for (std::size_t i = 0; i < index; ++i)
        at += (unit.parameters[i].size() + parameter_alignment - 1) / parameter_alignment *
              parameter_alignment;
    return at;
}
/// Elements of the whole unit, with the gaps.
inline std::size_t unit_size(const Unit& unit) {
    return parameter_offset(unit, unit.parameters.size());
}

/// Elements of the unit's gradient, with the gaps: up to the last parameter that has one. Frozen
/// parameters behind it take no gradient, state or bytes of reduction.
inline std::size_t gradient_size(const Unit& unit) {
    std::size_t count = 0;
    for (std::size_t i = 0; i < unit.parameters.size(); ++i)
        if (unit.parameters[i].trainable) count = std::max(i + 1, unit.joint_gradients);
    return parameter_offset(unit, std::min(count, unit.parameters.size()));
}

/// Elements of all parameters, without gaps.
inline std::size_t parameter_count(const std::vector<Unit>& units) {
    std::size_t count = 0;
    for (const Unit& unit : units)
        for (const Parameter& parameter : unit.parameters) {
            count += parameter.size();
            require(count <= largest_model, Errc::shape, "model: has more than ", largest_model,
                    " parameters up to '", parameter.name, "', expected at most as many");
        }
    return count;
}
/// Elements `first` on of a parameter's initial values.
inline void require_finite(const Parameter& parameter, std::size_t first,
                           std::span<const float> values) {
    for (std::size_t i = 0; i < values.size(); ++i)
        require(is_finite(values[i]), Errc::numeric, "initial values: '", parameter.name, "' is ",
                values[i], " at element ", first + i, ", expected finite numbers");
}

/// And that `E` holds them: fp16 ends at 65504.
template <Element E>
void require_held(const Parameter& parameter, std::size_t first, std::span<const float> values) {
    require_finite(parameter, first, values);
    if constexpr (std::same_as<E, Half>)
        for (std::size_t i = 0; i < values.size(); ++i)
            require(is_finite(static_cast<float>(Half{values[i]})), Errc::numeric,
                    "initial values: '", parameter.name, "' is ", values[i], " at element ",
                    first + i, ", expected at most 65504 in fp16; use bf16 or fp32");
}

/// What a model tells while it runs. Units are numbered as in `units()`.
///
/// Forward: use(u), compute, release(u). Backward, in reverse: use(u), gradient(u), compute,
/// ready(u), release(u). A resident unit is used once before its first use and released after its
/// last in each direction. Refused: ready(u) twice or before gradient(u), gradient(u) after
/// ready(u), release(u) without use(u); and, where gradients are staged (stages 2 and 3,
/// accumulation, another gradient type), more than two buckets that are not resident between
/// gradient and ready at once.
template <Element E>
class UnitObserver {
public:
    /// The unit's parameters, laid out by `parameter_offset`; readable until release(unit).
    virtual std::span<const E> use(std::size_t unit) = 0;
    virtual void release(std::size_t unit) = 0;
    /// Where the unit's gradients go, `gradient_size` elements laid out like its parameters;
    /// contents unspecified: the model writes every such parameter's elements, never reads them
    /// first. Empty if nothing in it is trainable.
    virtual std::span<E> gradient(std::size_t unit) = 0;
    /// The unit's gradients are written and will not be touched again in this backward pass.
    virtual void ready(std::size_t unit) = 0;

protected:
    ~UnitObserver() = default;
};

/// What a run measured over `tokens` counted labels.
struct Loss {
    double sum = 0;
    std::int64_t tokens = 0;

    /// 0 of none.
    double mean() const noexcept { return tokens == 0 ? 0 : sum / static_cast<double>(tokens); }
};

// clang-format off
/// A description and where its weights are. Nothing is allocated for parameters by the model.
/// Law: `units()` and `fill` answer the same on every call and every rank.
template <class M>
concept Model = Element<typename M::Element> && Device<typename M::Device> &&
                requires(const M model, std::size_t unit, std::size_t parameter, std::size_t first, std::span<float> out) {
    { model.device() } -> std::same_as<typename M::Device>;
    { model.units() } -> std::same_as<std::vector<Unit>>;
    model.fill(unit, parameter, first, out);   // initial values of elements first .. first + out.size(), in fp32
};

/// A model that computes its own gradients: forward and backward, the gradients of
/// `loss_scale` * mean loss written through the observer.
template <class M, class Batch>
concept TrainableOn = Model<M> && requires(M model, const Batch& batch, UnitObserver<typename M::Element>& observer, float loss_scale) {
    { model.run(batch, observer, loss_scale) } -> std::same_as<Loss>;
};

/// A model that can measure a batch without gradients.
template <class M, class Batch>
concept EvaluableOn = Model<M> && requires(M model, const Batch& batch, UnitObserver<typename M::Element>& observer) {
    { model.evaluate(batch, observer) } -> std::same_as<Loss>;
};

/// A model that adds to what ranks have to agree on: what its shapes do not say.
template <class M>
concept DescribesItself = requires(const M model, Fingerprint& fields) { model.describe(fields); };

/// A model that allocates for its activations (and workspace) and can say how much beforehand.
template <class M>
concept PlansActivations = requires(const M model) {
    { model.activation_bytes() } -> std::same_as<std::size_t>;
};

/// A model over the user's own arrays, which stay whole and readable between steps: the user fills
/// the gradients before `step()`.
template <class M>
concept BorrowingModel = Model<M> && requires(const M model, UnitObserver<typename M::Element>& observer, float loss_scale) {
    model.give_gradients(observer, loss_scale);
    model.take_parameters(observer);
    { model.arrays().front().parameters } -> std::convertible_to<std::span<typename M::Element>>;
};
// clang-format on

}  // namespace zeropp
