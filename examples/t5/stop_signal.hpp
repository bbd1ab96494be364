// SPDX-License-Identifier: Apache-2.0
/// \file A request to stop, made by a signal and seen at the next step.
#pragma once

#include <csignal>

/// While it lives, the first SIGINT, SIGTERM, SIGUSR1 or (unless nohup has it ignored) SIGHUP only
/// sets a flag; a second one of the same kind ends the process as usual.
class StopSignal {
public:
    StopSignal() {
        requested_ = 0;
        struct sigaction action {};
        action.sa_handler = [](int) { requested_ = 1; };
        action.sa_flags = static_cast<int>(SA_RESETHAND | SA_RESTART);
        for (int i = 0; i < count; ++i) sigaction(signals[i], &action, &before_[i]);
        if (before_[hangup].sa_handler == SIG_IGN)
            sigaction(signals[hangup], &before_[hangup], nullptr);
    }
    ~StopSignal() {
        for (int i = 0; i < count; ++i) sigaction(signals[i], &before_[i], nullptr);
    }
    StopSignal(const StopSignal&) = delete;
    StopSignal& operator=(const StopSignal&) = delete;

    static bool requested() { return requested_ != 0; }

private:
    static constexpr int count = 4, hangup = 3;
    static constexpr int signals[count] = {SIGINT, SIGTERM, SIGUSR1, SIGHUP};
    inline static volatile std::sig_atomic_t requested_ = 0;
    struct sigaction before_[count] {};
};
