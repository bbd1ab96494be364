// SPDX-License-Identifier: Apache-2.0
/// \file `FlopsProfile`: what each unit of a model computed, and for how long.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace zeropp {

/// Of one thread. Time belongs to the innermost unit entered; what is spent while it is suspended
/// (waiting for other ranks) belongs to none.
class FlopsProfile {
    using Clock = std::chrono::steady_clock;

public:
    struct Side {
        std::uint64_t flops = 0;     ///< of matrix products: 2 m n k each
        std::uint64_t products = 0;  ///< how many
        double product_seconds = 0;
        double seconds = 0;  ///< all that the unit does, products and the rest
    };
    struct Unit {
        Side forward, backward;

        std::uint64_t flops() const noexcept { return forward.flops + backward.flops; }
        double seconds() const noexcept { return forward.seconds + backward.seconds; }
        Unit& operator+=(const Unit& more) noexcept {
            for (const auto& [to, from] :
                 {std::pair{&forward, &more.forward}, std::pair{&backward, &more.backward}}) {
                to->flops += from->flops;
                to->products += from->products;
                to->product_seconds += from->product_seconds;
                to->seconds += from->seconds;
            }
            return *this;
        }
    };

    /// Allocates all that it needs later.
    explicit FlopsProfile(std::size_t units) : units_(units) { entered_.reserve(units); }

    const std::vector<Unit>& units() const noexcept { return units_; }
    Unit total() const {
        Unit sum;
        for (const Unit& unit : units_) sum += unit;
        return sum;
    }

    /// A run begins: no unit is entered.
    void begin_run() noexcept { entered_.clear(); }
    void enter_unit(std::size_t unit, bool backward) {
        charge();
        entered_.push_back(backward ? &units_.at(unit).backward : &units_.at(unit).forward);
    }
    void leave_unit() {
        charge();
        entered_.pop_back();
    }
    /// Until a unit is entered or left.
    void suspend() {
        charge();
        suspended_ = true;
    }
    void product(std::uint64_t flops, double seconds) {
        if (entered_.empty()) return;
        entered_.back()->flops += flops;
        ++entered_.back()->products;
        entered_.back()->product_seconds += seconds;
    }

private:
    void charge() {
        const auto now = Clock::now();
        if (!entered_.empty() && !suspended_)
            entered_.back()->seconds += std::chrono::duration<double>(now - since_).count();
        since_ = now;
        suspended_ = false;
    }

    std::vector<Unit> units_;
    std::vector<Side*> entered_;  ///< the innermost last
    Clock::time_point since_{};
    bool suspended_ = false;
};

}  // namespace zeropp
