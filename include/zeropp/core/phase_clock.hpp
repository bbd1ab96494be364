// SPDX-License-Identifier: Apache-2.0
/// \file `PhaseClock`: where the time of a step goes.
#pragma once

#include <array>
#include <cstddef>
#include <string_view>

#include <time.h>

namespace zeropp {

enum class Phase : unsigned char {
    forward,
    backward,
    reduction,  ///< waiting for gradients of other ranks
    update,
    gather,  ///< waiting for parameters of other ranks
    data,    ///< waiting for the loader
    other
};
inline constexpr std::array<std::string_view, 7> phase_names{
    "forward", "backward", "reduction", "update", "gather", "data", "other"};

/// Seconds of each phase. They do not overlap: their sum is the time that was measured.
struct PhaseTimes {
    std::array<double, phase_names.size()> seconds{};

    double of(Phase phase) const noexcept { return seconds[static_cast<std::size_t>(phase)]; }
    double total() const noexcept {
        double sum = 0;
        for (const double each : seconds) sum += each;
        return sum;
    }
    PhaseTimes& operator+=(const PhaseTimes& more) noexcept {
        for (std::size_t i = 0; i < seconds.size(); ++i) seconds[i] += more.seconds[i];
        return *this;
    }
};

/// Seconds from some moment on. (<chrono> would be a third of what trainer.hpp takes to compile.)
struct MonotonicTime {
    static double now() noexcept {
        timespec time{};
        ::clock_gettime(CLOCK_MONOTONIC, &time);
        return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
    }
};

/// Of one thread. Every moment belongs to one phase, the innermost one entered. Stopped, as it is
/// at first, it reads no clock.
template <class Time = MonotonicTime>
class BasicPhaseClock {
public:
    /// From now on time is counted, as `other` until a phase is entered.
    void start() {
        running_ = true;
        times_ = {};
        phase_ = Phase::other;
        since_ = Time::now();
    }
    bool is_running() const noexcept { return running_; }

    /// The phase from here on; gives the one before.
    Phase enter(Phase phase) {
        const Phase before = phase_;
        phase_ = phase;
        if (running_) charge(before);
        return before;
    }
    /// A phase until the end of the block, then the one before goes on.
    class Scope {
    public:
        Scope(BasicPhaseClock& clock, Phase phase) : clock_{clock}, before_{clock.enter(phase)} {}
        Scope(const Scope&) = delete;
        Scope& operator=(const Scope&) = delete;
        ~Scope() { clock_.enter(before_); }

    private:
        BasicPhaseClock& clock_;
        Phase before_;
    };

    /// What was counted since the last call, or the start; all zero if it is stopped.
    PhaseTimes take() {
        if (running_) charge(phase_);
        const PhaseTimes taken = times_;
        times_ = {};
        return taken;
    }

private:
    void charge(Phase phase) {
        const double now = Time::now();
        times_.seconds[static_cast<std::size_t>(phase)] += now - since_;
        since_ = now;
    }

    bool running_ = false;
    Phase phase_ = Phase::other;
    double since_ = 0;
    PhaseTimes times_;
};
using PhaseClock = BasicPhaseClock<>;

}  // namespace zeropp
