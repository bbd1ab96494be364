// SPDX-License-Identifier: Apache-2.0
/// \file Adafactor: Shazeer & Stern, "Adafactor: adaptive learning rates with sublinear memory
/// cost", ICML 2018, algorithms 4 to 6; what T5 was trained with. As transformers' class: RMS clips
/// the update, and the RMS of a tensor scales its rate.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <memory>
#include <optional>
#include <span>

#include <zeropp/core/square_root.hpp>
#include <zeropp/device/squares.hpp>
#include <zeropp/optim/rows.hpp>
#include <zeropp/optim/rule.hpp>

namespace zeropp {

/// Memory: of a matrix two vectors, the means of the squared gradients' rows and columns; of a
/// vector as many floats as it has elements; both on every rank. With `beta1` also a slot. A tensor
/// of more axes is a matrix by its last one.
struct Adafactor {
    std::optional<float> lr{};  ///< none with `relative_step`
    float eps = 1e-30f;         ///< added to squares of gradients
    float eps_scale = 1e-3f;    ///< the least RMS of a tensor that scales its rate
    float clip_threshold = 1;   ///< the greatest RMS of an update before the rate
    float decay_rate = -0.8f;   ///< squares are averaged with beta2 = 1 - step^decay_rate
    std::optional<float> beta1{};
    float weight_decay = 0;       ///< decoupled, times the rate with its scale
    bool scale_parameter = true;  ///< the rate is in units of the tensor's RMS
    /// The rate is min(0.01, 1 / sqrt(step)), times a factor that a schedule may give; with
    /// `warmup_init` min(1e-6 * step, 1 / sqrt(step)).
    bool relative_step = true;
    bool warmup_init = false;

    static constexpr std::string_view name = "adafactor";

    void check() const {
        const auto where = "Adafactor";
        if (relative_step)
            require(!lr, Errc::config, "Adafactor: lr is ", lr.value_or(0),
                    ", expected none: relative_step sets it; switch relative_step off");
        else
            require(lr.has_value(), Errc::config,
                    "Adafactor: lr is absent, expected a number: relative_step is off");
        require(!warmup_init || relative_step, Errc::config,
                "Adafactor: warmup_init is on, expected off: relative_step is");
        detail::require_at_least_0(where, "lr", lr.value_or(0));
        require(eps >= 1e-37f, Errc::config, "Adafactor: eps is ", eps,
                ", expected at least 1e-37: the least square");
        detail::require_at_least_0(where, "eps_scale", eps_scale);
        require(clip_threshold > 0, Errc::config, "Adafactor: clip_threshold is ", clip_threshold,
                ", expected more than 0");
        require(decay_rate < 0, Errc::config, "Adafactor: decay_rate is ", decay_rate,
                ", expected less than 0");
        if (beta1) detail::require_below_1(where, "beta1", *beta1);
        detail::require_at_least_0(where, "weight_decay", weight_decay);
    }
    Rates rates() const { return {.lr = lr.value_or(1), .momentum = beta1.value_or(0)}; }
    std::unique_ptr<Rule> make_rule(const GroupRates& group) const;
};

namespace detail {

struct AdafactorElement {
    float row_factor, scale, decay;
    const float* squares;  ///< of columns
    const float* gradients;
    float* parameters;

    /// Before the rate and the clipping.
    ZEROPP_INLINE float direction(std::size_t i) const {
        return gradients[i] * row_factor / square_root(squares[i]);
    }
    ZEROPP_INLINE float change(std::size_t i) const { return scale * direction(i); }
    ZEROPP_INLINE void move(std::size_t i, float by) const {
        parameters[i] = __builtin_fmaf(parameters[i], decay, -by);
    }
};

/// A function object each: a branch would keep the loop from being vectorised.
struct AdafactorUpdate {
    AdafactorElement element;
    ZEROPP_INLINE void operator()(std::size_t i) const { element.move(i, element.change(i)); }
};
struct AdafactorMomentumUpdate {
    AdafactorElement element;
    float* momentum;
    float beta1, one_minus_beta1;
    ZEROPP_INLINE void operator()(std::size_t i) const {
        momentum[i] = __builtin_fmaf(beta1, momentum[i], one_minus_beta1 * element.change(i));
        element.move(i, momentum[i]);
    }
};

/// Kept of a tensor: the columns' mean squares (a vector's: each element's square), the rows', and
/// the mean of the rows'. Sums of round 0: squares of parameters, then of gradients by column and
/// by row; of round 1: squares of the direction.
class AdafactorRule final : public Rule {
public:
    explicit AdafactorRule(const Adafactor& optimizer) : optimizer_{optimizer} {}

    std::string_view name() const override { return Adafactor::name; }
    std::span<const Slot> slots() const override {
        return std::span{momentum_}.first(optimizer_.beta1 ? 1 : 0);
    }
    Rates rates() const override { return optimizer_.rates(); }
    std::size_t kept(const Tensor2d& tensor) const override {
        return tensor.columns + (tensor.rows == 0 ? 0 : tensor.rows + 1);
    }
    std::size_t rounds() const override { return 2; }
    std::size_t sums(std::size_t round, const Tensor2d& tensor) const override {
        return round == 0 ? 1 + tensor.columns + tensor.rows : 1;
    }

    void begin(StepContext now) override {
        const auto step = static_cast<double>(now.index);
        rate_ = now.rates.lr;
        if (optimizer_.relative_step)
            rate_ *= std::min(optimizer_.warmup_init ? 1e-6 * step : 1e-2, 1 / std::sqrt(step));
        beta1_ = now.rates.momentum;
        fresh_ = std::pow(step, static_cast<double>(optimizer_.decay_rate));
    }

    void measure(std::size_t round, const Tensor2d& tensor, const TensorPiece& piece,
                 std::span<double> sums) const override {
        if (round == 0) sums[0] += sum_of_squares(piece.count, Square{piece.parameters});
        by_row(tensor, piece,
               [&](std::size_t row, std::size_t column, std::size_t at, std::size_t count) {
                   if (round == 1) {
                       const auto element = element_of(tensor, piece, row, column, at);
                       sums[0] += sum_of_squares(count, Direction{element});
                       return;
                   }
                   const float* gradients = piece.gradients + at;
                   for_each_element(Host{}, count, AddSquare{gradients, sums.data() + 1 + column});
                   if (tensor.rows > 0)
                       sums[1 + tensor.columns + row] += sum_of_squares(count, Square{gradients});
               });
    }

    void combine(std::size_t round, Tensor2d& tensor) const override {
        if (round != 0) return;
        const auto rows = static_cast<double>(std::max<std::size_t>(1, tensor.rows));
        const auto columns = static_cast<double>(tensor.columns);
        double mean_of_rows = 0;
        for (std::size_t k = 0; k < tensor.columns + tensor.rows; ++k) {
            const bool is_row = k >= tensor.columns;
            const double mean = tensor.sums[1 + k] / (is_row ? columns : rows) +
                                static_cast<double>(optimizer_.eps);
            float& kept = tensor.kept[k];
            kept = static_cast<float>(std::fma(fresh_, mean - kept, static_cast<double>(kept)));
            if (is_row) mean_of_rows += kept;
        }
        if (tensor.rows > 0)
            tensor.kept[tensor.columns + tensor.rows] = static_cast<float>(mean_of_rows / rows);
    }

    void update(const Tensor2d& tensor, const TensorPiece& piece) const override {
        const auto rms = [&](double squares) {
            return std::sqrt(squares / static_cast<double>(tensor.size()));
        };
        double rate = rate_;
        if (optimizer_.scale_parameter)
            rate *= std::max(static_cast<double>(optimizer_.eps_scale), rms(tensor.sums[0]));
        const double direction = rms(tensor.sums[1 + tensor.columns + tensor.rows]);
        const double clip = std::max(1.0, direction / optimizer_.clip_threshold);
        by_row(tensor, piece,
               [&](std::size_t row, std::size_t column, std::size_t at, std::size_t count) {
                   auto element = element_of(tensor, piece, row, column, at);
                   element.scale = static_cast<float>(rate / clip);
                   element.decay = static_cast<float>(1.0 - rate * optimizer_.weight_decay);
                   if (optimizer_.beta1)
                       for_each_element(Host{}, count,
                                        AdafactorMomentumUpdate{element, piece.slots[0] + at,
                                                                static_cast<float>(beta1_),
                                                                static_cast<float>(1.0 - beta1_)});
                   else
                       for_each_element(Host{}, count, AdafactorUpdate{element});
               });
    }

private:
    struct Square {
        const float* values;
        ZEROPP_INLINE float operator()(std::size_t i) const { return values[i]; }
    };
    struct Direction {
        AdafactorElement element;
        ZEROPP_INLINE float operator()(std::size_t i) const { return element.direction(i); }
    };
    struct AddSquare {
        const float* values;
        double* to;
        ZEROPP_INLINE void operator()(std::size_t i) const { to[i] = add_square(to[i], values[i]); }
    };

    /// Its rates are not set yet.
    AdafactorElement element_of(const Tensor2d& tensor, const TensorPiece& piece, std::size_t row,
                                std::size_t column, std::size_t at) const {
        double factor = 1;
        if (tensor.rows > 0)
            factor = std::sqrt(static_cast<double>(tensor.kept[tensor.columns + tensor.rows]) /
                               static_cast<double>(tensor.kept[tensor.columns + row]));
        return {.row_factor = static_cast<float>(factor),
                .scale = 0,
                .decay = 1,
                .squares = tensor.kept.data() + column,
                .gradients = piece.gradients + at,
                .parameters = piece.parameters + at};
    }

    static constexpr std::array<Slot, 1> momentum_{"exp_avg"};

    Adafactor optimizer_;
    double rate_ = 0, beta1_ = 0;
    double fresh_ = 1;  ///< 1 - beta2
};

}  // namespace detail

inline std::unique_ptr<Rule> Adafactor::make_rule(const GroupRates& group) const {
    Adafactor mine = *this;
    if (group.lr) {
        require(!relative_step, Errc::config, "ParameterGroups: a group has its own lr, ",
                *group.lr,
                ", expected none: Adafactor's relative_step sets it; switch relative_step off");
        mine.lr = group.lr;
    }
    if (group.weight_decay) mine.weight_decay = *group.weight_decay;
    return std::make_unique<detail::AdafactorRule>(mine);
}
static_assert(MakesRule<Adafactor>);

}  // namespace zeropp
