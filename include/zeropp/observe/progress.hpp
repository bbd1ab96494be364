// SPDX-License-Identifier: Apache-2.0
/// \file `Progress`: a sink that shows a run to a person: a bar on a terminal, plain lines
/// elsewhere.
#pragma once

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <numeric>
#include <string>

#include <unistd.h>

#include <zeropp/observe/events.hpp>
#include <zeropp/observe/process_memory.hpp>

namespace zeropp {

namespace detail {

/// "1:05", "2:03:09".
inline std::string clock_text(double seconds) {
    const auto whole = static_cast<long>(std::lround(std::max(0.0, seconds)));
    char text[32];
    if (whole >= 3600)
        std::snprintf(text, sizeof text, "%ld:%02ld:%02ld", whole / 3600, whole / 60 % 60,
                      whole % 60);
    else
        std::snprintf(text, sizeof text, "%ld:%02ld", whole / 60, whole % 60);
    return text;
}

/// "853 MB", "1.25 GB"; powers of ten.
inline std::string bytes_text(std::uint64_t bytes) {
    char text[32];
    if (bytes >= 1'000'000'000)
        std::snprintf(text, sizeof text, "%.2f GB", static_cast<double>(bytes) * 1e-9);
    else
        std::snprintf(text, sizeof text, "%.0f MB", static_cast<double>(bytes) * 1e-6);
    return text;
}

}  // namespace detail

struct ProgressOptions {
    std::FILE* file = stdout;
    /// Steps between two lines; 0: a line whenever two seconds have gone by.
    std::int64_t steps_per_line = 0;
    /// Lines even on a terminal: a launcher may show ranks one, and write to a file itself.
    bool plain = false;
};

/// Borrows the file. A line shows the mean loss and the speed since the line before, the time left
/// at the pace of the whole run, and this process's peak memory beside what was planned for it.
class Progress final : public Sink {
public:
    explicit Progress(ProgressOptions options = {})
        : options_{options}, terminal_{!options.plain && isatty(fileno(options.file)) == 1} {}

    void on(const StartEvent& event) override {
        steps_ = event.steps;
        if (!event.planned_bytes.empty())
            planned_ = event.ranks_share_process
                           ? std::accumulate(event.planned_bytes.begin(), event.planned_bytes.end(),
                                             std::uint64_t{0})
                           : event.planned_bytes.front();
        begin_ = last_line_ = Clock::now();
        std::fprintf(options_.file, "%s\n", event.what.c_str());
        std::fflush(options_.file);
    }
    void on(const StepEvent& event) override {
        loss_sum_ += event.loss;
        tokens_ += event.tokens;
        seconds_ += event.seconds;
        ++steps_since_line_;
        if (event.skipped) tell_skipped(event);
        if (!is_due(event.step)) return;
        show(event);
        loss_sum_ = seconds_ = 0;
        tokens_ = steps_since_line_ = 0;
        last_line_ = Clock::now();
    }
    void on(const EvaluationEvent& event) override {
        end_bar();
        std::fprintf(options_.file,
                     "validation after step %lld: loss %.4f over %lld tokens of %lld examples\n",
                     static_cast<long long>(event.step), event.loss,
                     static_cast<long long>(event.tokens), static_cast<long long>(event.examples));
        std::fflush(options_.file);
    }
    void on(const EndEvent& event) override {
        end_bar();
        if (event.skipped != 0)
            std::fprintf(options_.file, "%lld steps were skipped: gradients were not finite\n",
                         static_cast<long long>(event.skipped));
        const std::string how =
            event.stopped ? std::string{"stopped by "} + event.stopped_by + " after" : "trained";
        std::fprintf(
            options_.file, "%s %lld steps in %s, peak memory %s (planned %s)\n", how.c_str(),
            static_cast<long long>(event.steps), detail::clock_text(event.seconds).c_str(),
            detail::bytes_text(peak_rss_bytes()).c_str(), detail::bytes_text(planned_).c_str());
        std::fflush(options_.file);
    }

private:
    using Clock = std::chrono::steady_clock;

    bool is_due(std::int64_t step) const {
        if (step == 1 || step == steps_) return true;
        const std::chrono::duration<double> quiet = Clock::now() - last_line_;
        if (terminal_) return quiet.count() >= 0.2;
        return options_.steps_per_line > 0 ? step % options_.steps_per_line == 0
                                           : quiet.count() >= 2.0;
    }
    void tell_skipped(const StepEvent& event) {
        end_bar();
        std::fprintf(options_.file, "step %lld/%lld  skipped, not finite: %s",
                     static_cast<long long>(event.step), static_cast<long long>(steps_),
                     event.non_finite.c_str());
        if (event.loss_scale > 0)
            std::fprintf(options_.file, "; the loss scale was %g", event.loss_scale);
        std::fprintf(options_.file, "\n");
        std::fflush(options_.file);
    }
    void show(const StepEvent& event) {
        const std::chrono::duration<double> spent = Clock::now() - begin_;
        const double left = spent.count() / static_cast<double>(event.step) *
                            static_cast<double>(steps_ - event.step);
        char numbers[192];
        std::snprintf(
            numbers, sizeof numbers,
            "loss %.4f  lr %.2e  %.0f tokens/s  %s left  memory %s (planned %s)",
            loss_sum_ / static_cast<double>(steps_since_line_), static_cast<double>(event.lr),
            seconds_ > 0 ? static_cast<double>(tokens_) / seconds_ : 0.0,
            detail::clock_text(left).c_str(), detail::bytes_text(peak_rss_bytes()).c_str(),
            detail::bytes_text(planned_).c_str());
        const auto step = static_cast<long long>(event.step), all = static_cast<long long>(steps_);
        if (terminal_) {
            std::fprintf(options_.file, "\r\033[K[%s] %lld/%lld  %s", bar(event.step).c_str(), step,
                         all, numbers);
            bar_open_ = true;
        } else {
            std::fprintf(options_.file, "step %lld/%lld  %s\n", step, all, numbers);
        }
        std::fflush(options_.file);
    }
    std::string bar(std::int64_t step) const {
        constexpr std::int64_t width = 20;
        const std::int64_t filled = steps_ > 0 ? std::min(width, step * width / steps_) : 0;
        return std::string(static_cast<std::size_t>(filled), '#') +
               std::string(static_cast<std::size_t>(width - filled), '.');
    }
    void end_bar() {
        if (bar_open_) std::fprintf(options_.file, "\n");
        bar_open_ = false;
    }

    ProgressOptions options_;
    bool terminal_;
    bool bar_open_ = false;
    std::int64_t steps_ = 0, steps_since_line_ = 0, tokens_ = 0;
    std::uint64_t planned_ = 0;
    double loss_sum_ = 0, seconds_ = 0;
    Clock::time_point begin_{}, last_line_{};
};

}  // namespace zeropp
