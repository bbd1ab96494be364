// SPDX-License-Identifier: Apache-2.0
/// \file Loss scaling of fp16: Micikevicius et al., "Mixed precision training", ICLR 2018, section
/// 3.2; the dynamic scale moves as DeepSpeed's does.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include <zeropp/core/error.hpp>
#include <zeropp/core/fingerprint.hpp>
#include <zeropp/optim/concepts.hpp>

namespace zeropp {

/// How the loss of a model in fp16 is scaled; other precisions are not. Names and defaults as in
/// DeepSpeed's fp16 block.
struct LossScale {
    float loss_scale = 0;                 ///< fixed; 0: dynamic, from 2^initial_scale_power on
    int initial_scale_power = 16;         ///< doubled after each window
    int loss_scale_window = 1000;         ///< steps without overflow
    int hysteresis = 2;                   ///< overflows until the scale is halved
    bool consecutive_hysteresis = false;  ///< a good step restores the hysteresis
    float min_loss_scale = 1;             ///< an overflow there ends the run

    void check() const {
        detail::require_at_least_0("LossScale", "loss_scale", loss_scale);
        const auto at_least_1 = [](const char* name, auto value) {
            require(value >= 1, Errc::config, "LossScale: ", name, " is ", value,
                    ", expected at least 1");
        };
        require(-14 <= initial_scale_power && initial_scale_power <= 127, Errc::config,
                "LossScale: initial_scale_power is ", initial_scale_power, ", expected -14 to 127");
        at_least_1("loss_scale_window", loss_scale_window);
        at_least_1("hysteresis", hysteresis);
        require(min_loss_scale > 0 && min_loss_scale < 3e38f, Errc::config,
                "LossScale: min_loss_scale is ", min_loss_scale, ", expected more than 0");
        const float first = std::ldexp(1.0f, initial_scale_power);
        require(loss_scale != 0 || min_loss_scale <= first, Errc::config,
                "LossScale: min_loss_scale is ", min_loss_scale, ", expected at most ", first,
                ", the first scale, 2^initial_scale_power");
    }
    void describe(Fingerprint& fields) const {
        fields.add("loss scale", loss_scale);
        fields.add("initial scale power", initial_scale_power);
        fields.add("loss scale window", loss_scale_window);
        fields.add("hysteresis", hysteresis);
        fields.add("consecutive hysteresis", consecutive_hysteresis);
        fields.add("least loss scale", min_loss_scale);
    }
};

/// The scale of the next backward pass.
class LossScaler {
public:
    /// Always 1.
    LossScaler() : scale_{1} {}
    explicit LossScaler(const LossScale& how)
        : how_{how},
          dynamic_{how.loss_scale == 0},
          scale_{dynamic_ ? std::ldexp(1.0f, how.initial_scale_power) : how.loss_scale},
          hysteresis_{how.hysteresis} {}

    float scale() const noexcept { return scale_; }
    bool is_dynamic() const noexcept { return dynamic_; }
    /// Overflows until the scale is halved.
    int hysteresis() const noexcept { return hysteresis_; }
    /// An overflow now has no scale left to go down to.
    bool is_at_minimum() const noexcept {
        return dynamic_ && hysteresis_ == 1 && scale_ <= how_.min_loss_scale;
    }

    /// After each step: whether it was skipped because its gradients were not finite.
    void update(bool overflow) {
        if (!dynamic_) return;
        if (overflow) {
            if (hysteresis_ == 1)
                scale_ = std::max(scale_ / 2, how_.min_loss_scale);
            else
                --hysteresis_;
            last_overflow_ = steps_;
        } else {
            if (how_.consecutive_hysteresis) hysteresis_ = how_.hysteresis;
            const std::int64_t good = steps_ - last_overflow_ - 1;
            if (good > 0 && good % how_.loss_scale_window == 0) {
                hysteresis_ = how_.hysteresis;
                if (scale_ * 2 < 3e38f) scale_ *= 2;
            }
        }
        ++steps_;
    }

private:
    LossScale how_{};
    bool dynamic_ = false;
    float scale_;
    int hysteresis_ = 1;
    std::int64_t steps_ = 0, last_overflow_ = -1;
};

}  // namespace zeropp
