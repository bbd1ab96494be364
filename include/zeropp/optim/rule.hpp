// SPDX-License-Identifier: Apache-2.0
/// \file `Rule`: an optimizer as the host's engine sees it, behind virtual functions over pieces of
/// tensors in fp32. Which one it is does not change the engine's type.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <utility>

#include <zeropp/device/for_each.hpp>
#include <zeropp/optim/concepts.hpp>

namespace zeropp {

/// A whole tensor, and what is known of it on every rank.
struct Tensor2d {
    std::size_t rows = 0;      ///< 0: one axis alone
    std::size_t columns = 0;   ///< of the last axis
    std::span<float> kept{};   ///< `Rule::kept` floats, zero before the first step
    std::span<double> sums{};  ///< of every round so far, one after the other

    std::size_t size() const { return rows == 0 ? columns : rows * columns; }
};

/// Consecutive elements of a tensor that this rank has. Gradients are unscaled and clipped.
struct TensorPiece {
    static constexpr std::size_t most_slots = 8;

    std::size_t first = 0, count = 0;  ///< elements of the tensor
    float* parameters = nullptr;       ///< masters
    const float* gradients = nullptr;
    float* slots[most_slots] = {};
};

/// One parameter group's optimizer. A step: `begin`; for each round of sums `measure` of every
/// piece of this rank's shards, then, with the sums over all ranks, `combine` of every tensor; then
/// `update` of every piece.
class Rule {
public:
    virtual ~Rule() = default;

    virtual std::string_view name() const = 0;
    virtual std::span<const Slot> slots() const = 0;
    virtual Rates rates() const = 0;
    /// Floats that every rank keeps of a tensor.
    virtual std::size_t kept(const Tensor2d&) const { return 0; }
    virtual std::size_t rounds() const { return 0; }
    /// Of one round and tensor.
    virtual std::size_t sums(std::size_t /*round*/, const Tensor2d&) const { return 0; }

    virtual void begin(StepContext now) = 0;
    /// Adds the piece's part to `sums`. Changes nothing else.
    virtual void measure(std::size_t /*round*/, const Tensor2d&, const TensorPiece&,
                         std::span<double> /*sums*/) const {}
    virtual void combine(std::size_t /*round*/, Tensor2d&) const {}
    virtual void update(const Tensor2d&, const TensorPiece&) const = 0;
};

/// What a parameter group has of its own.
struct GroupRates {
    std::optional<float> lr{}, weight_decay{};
};

/// An optimizer that is more than the update of an element brings its own rule.
template <class O>
concept MakesRule = requires(const O optimizer, const GroupRates& group) {
    { optimizer.make_rule(group) } -> std::same_as<std::unique_ptr<Rule>>;
};

/// What a trainer takes for an optimizer.
template <class O>
concept TrainerOptimizer = Optimizer<O> || MakesRule<O>;

namespace detail {

template <class O, class Constants, std::size_t N>
struct UpdatePiece {
    Constants constants;
    float* parameters;
    const float* gradients;
    Few<float*, N> slots;

    ZEROPP_INLINE void operator()(std::size_t i) const { update(i, std::make_index_sequence<N>{}); }

private:
    template <std::size_t... S>
    ZEROPP_INLINE void update(std::size_t i, std::index_sequence<S...>) const {
        SlotValues<N> values{slots[S][i]...};
        parameters[i] = O::update(constants, parameters[i], gradients[i], values);
        ((slots[S][i] = values[S]), ...);
    }
};

template <std::size_t N>
Few<float*, N> few_slots(const TensorPiece& piece) {
    Few<float*, N> slots{};
    if constexpr (N > 0)
        for (std::size_t s = 0; s < N; ++s) slots[s] = piece.slots[s];
    return slots;
}

/// sums[k] += the k-th term of every element: in double, over 16 fixed lanes.
template <class O, class Constants, std::size_t N>
struct MeasurePiece {
    static constexpr std::size_t lanes = 16, terms = O::statistics;

    static void run(const Constants& constants, const TensorPiece& piece, std::span<double> sums) {
        const Few<float*, N> slots = few_slots<N>(piece);
        const float *const p = piece.parameters, *const g = piece.gradients;
        vectorized([&, p, g, slots]() ZEROPP_INLINE {
            double lane[terms][lanes] = {};
            const auto add = [&](std::size_t i, std::size_t j) ZEROPP_INLINE {
                SlotValues<N> values{};
                if constexpr (N > 0)
                    for (std::size_t s = 0; s < N; ++s) values[s] = slots[s][i];
                Few<float, terms> each{};
                O::measure(constants, p[i], g[i], values, each);
                for (std::size_t k = 0; k < terms; ++k) lane[k][j] += static_cast<double>(each[k]);
            };
            std::size_t i = 0;
            for (; i + lanes <= piece.count; i += lanes)
                for (std::size_t j = 0; j < lanes; ++j) add(i + j, j);
            for (std::size_t j = 0; i + j < piece.count; ++j) add(i + j, j);
            for (std::size_t k = 0; k < terms; ++k)
                for (std::size_t j = 0; j < lanes; ++j) sums[k] += lane[k][j];
        });
    }
};

}  // namespace detail

/// Of an optimizer that updates element by element.
template <Optimizer O>
class ElementRule final : public Rule {
    static constexpr std::size_t slots_count = O::slots.size();
    static_assert(slots_count <= TensorPiece::most_slots,
                  "zeropp: an optimizer has at most 8 slots");

public:
    explicit ElementRule(const O& optimizer)
        : optimizer_{optimizer},
          constants_{optimizer.constants({.index = 1, .rates = optimizer.rates()})} {}

    std::string_view name() const override { return O::name; }
    std::span<const Slot> slots() const override { return O::slots; }
    Rates rates() const override { return optimizer_.rates(); }
    std::size_t rounds() const override { return MeasuresTensors<O> ? 1 : 0; }
    std::size_t sums(std::size_t, const Tensor2d&) const override {
        if constexpr (MeasuresTensors<O>) return O::statistics;
        return 0;
    }

    void begin(StepContext now) override { constants_ = optimizer_.constants(now); }
    void measure([[maybe_unused]] std::size_t round, const Tensor2d&,
                 [[maybe_unused]] const TensorPiece& piece,
                 [[maybe_unused]] std::span<double> sums) const override {
        if constexpr (MeasuresTensors<O>)
            detail::MeasurePiece<O, Constants, slots_count>::run(constants_, piece, sums);
    }
    void update(const Tensor2d& tensor, const TensorPiece& piece) const override {
        for_each_element(Host{}, piece.count,
                         detail::UpdatePiece<O, Constants, slots_count>{
                             constants_of(tensor), piece.parameters, piece.gradients,
                             detail::few_slots<slots_count>(piece)});
    }

private:
    using Constants = decltype(std::declval<const O&>().constants(StepContext{}));

    Constants constants_of([[maybe_unused]] const Tensor2d& tensor) const {
        if constexpr (MeasuresTensors<O>)
            return O::with_sums(constants_, std::span<const double, O::statistics>{
                                                tensor.sums.data(), O::statistics});
        else
            return constants_;
    }

    O optimizer_;
    Constants constants_;
};

namespace detail {

/// The optimizer with the group's own rates.
template <class O>
O with_rates(O optimizer, const GroupRates& group) {
    if (group.lr) {
        if constexpr (requires { optimizer.lr = *group.lr; })
            optimizer.lr = *group.lr;
        else
            fail(Errc::config, "ParameterGroups: a group has its own lr, expected none: optimizer ",
                 O::name, " has no member lr");
    }
    if (group.weight_decay) {
        if constexpr (requires { optimizer.weight_decay = *group.weight_decay; })
            optimizer.weight_decay = *group.weight_decay;
        else
            fail(Errc::config,
                 "ParameterGroups: a group has its own weight_decay, expected none: optimizer ",
                 O::name, " has no member weight_decay");
    }
    return optimizer;
}

}  // namespace detail

template <TrainerOptimizer O>
std::unique_ptr<Rule> make_rule(const O& optimizer, const GroupRates& group = {}) {
    if constexpr (MakesRule<O>)
        return optimizer.make_rule(group);
    else
        return std::make_unique<ElementRule<O>>(detail::with_rates(optimizer, group));
}

/// An optimizer as a value: which one it is does not change the trainer's type.
class AnyOptimizer {
public:
    template <TrainerOptimizer O>
    requires(!std::same_as<O, AnyOptimizer>) AnyOptimizer(const O& optimizer)
        : check_{[optimizer] {
              if constexpr (ChecksItself<O>) optimizer.check();
          }},
          make_{[optimizer](const GroupRates& group) {
              return zeropp::make_rule(optimizer, group);
          }} {}

    void check() const { check_(); }
    std::unique_ptr<Rule> make_rule(const GroupRates& group) const { return make_(group); }

private:
    std::function<void()> check_;
    std::function<std::unique_ptr<Rule>(const GroupRates&)> make_;
};

}  // namespace zeropp
