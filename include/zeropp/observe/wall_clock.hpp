// SPDX-License-Identifier: Apache-2.0
/// \file `WallClock`: a sink that prints where the time of the steps went, as a table.
#pragma once

#include <cstdint>
#include <cstdio>
#include <string>

#include <zeropp/core/phase_clock.hpp>
#include <zeropp/observe/events.hpp>

namespace zeropp {

/// One line a phase: milliseconds of a step, the mean over `steps`, and their share.
inline std::string phase_table(const PhaseTimes& times, std::int64_t steps) {
    std::string text;
    char line[96];
    const double whole = times.total();
    const auto append = [&](const std::string& name, double seconds) {
        std::snprintf(line, sizeof line, "  %-10s %10.2f ms %6.1f %%\n", name.c_str(),
                      steps > 0 ? 1e3 * seconds / static_cast<double>(steps) : 0.0,
                      whole > 0 ? 100 * seconds / whole : 0.0);
        text += line;
    };
    for (std::size_t i = 0; i < phase_names.size(); ++i)
        append(std::string{phase_names[i]}, times.seconds[i]);
    append("step", whole);
    return text;
}

struct WallClockOptions {
    std::FILE* file = stdout;
    std::int64_t steps_per_table = 0;  ///< 0: one table, at the end
};

/// DeepSpeed's "wall_clock_breakdown", of the rank that tells the events. Borrows the file. A table
/// is of the steps since the one before; the last one of the whole run.
class WallClock final : public Sink {
public:
    explicit WallClock(WallClockOptions options = {}) : options_{options} {}

    void on(const StepEvent& event) override {
        since_ += event.phases;
        all_ += event.phases;
        ++steps_;
        if (options_.steps_per_table == 0 || ++steps_since_ < options_.steps_per_table) return;
        print("steps " + std::to_string(event.step - steps_since_ + 1) + " to " +
                  std::to_string(event.step),
              since_, steps_since_);
        since_ = {};
        steps_since_ = 0;
    }
    void on(const EndEvent&) override {
        if (steps_ != 0) print("all " + std::to_string(steps_) + " steps", all_, steps_);
    }

private:
    void print(const std::string& what, const PhaseTimes& times, std::int64_t steps) {
        std::fprintf(
            options_.file,
            "wall clock of a step of rank 0 (reduction, gather and data: waiting), mean of %s\n%s",
            what.c_str(), phase_table(times, steps).c_str());
        std::fflush(options_.file);
    }

    WallClockOptions options_;
    PhaseTimes since_, all_;
    std::int64_t steps_since_ = 0, steps_ = 0;
};

}  // namespace zeropp
