// SPDX-License-Identifier: Apache-2.0
/// \file `MemoryBreakdown`: a sink that prints planned bytes beside those that the process has.
#pragma once

#include <cstdint>
#include <cstdio>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include <zeropp/core/plan.hpp>
#include <zeropp/observe/events.hpp>
#include <zeropp/observe/process_memory.hpp>

namespace zeropp {

/// One line a kind of memory, and their sum: what zeropp allocates.
inline std::string plan_table(const MemoryPlan& plan) {
    std::string text;
    char line[160];
    const auto append = [&](const std::string& name, std::size_t bytes, const char* note) {
        std::snprintf(line, sizeof line, "  %-40s %15zu bytes%s\n", name.c_str(), bytes, note);
        text += line;
    };
    for (const MemoryPlan::Row& row : plan.rows())
        append(row.name, row.bytes, row.yours ? " (yours, not in the sum)" : "");
    append("planned for this rank", plan.total(), "");
    return text;
}

/// DeepSpeed's "memory_breakdown": at the start, after the first step and at the end, rank 0's plan
/// and the resident set of its process. Borrows the file.
class MemoryBreakdown final : public Sink {
public:
    explicit MemoryBreakdown(MemoryPlan plan, std::FILE* file = stdout)
        : plan_{std::move(plan)}, file_{file} {}

    void on(const StartEvent& event) override {
        ranks_here_ = event.ranks_share_process ? event.planned_bytes.size() : 1;
        planned_here_ = plan_.total();
        if (ranks_here_ > 1)
            planned_here_ = std::accumulate(event.planned_bytes.begin(), event.planned_bytes.end(),
                                            std::uint64_t{0});
        print("at the start");
    }
    void on(const StepEvent& event) override {
        if (event.step == 1) print("after step 1");
    }
    void on(const EndEvent&) override { print("at the end"); }

private:
    void print(const char* when) {
        const auto number = [](std::uint64_t bytes) {
            return static_cast<unsigned long long>(bytes);
        };
        std::fprintf(file_, "memory %s\n%s", when, plan_table(plan_).c_str());
        if (ranks_here_ > 1)
            std::fprintf(file_, "  planned for %-28s %15llu bytes\n",
                         ("the " + std::to_string(ranks_here_) + " ranks of this process").c_str(),
                         number(planned_here_));
        std::fprintf(file_, "  %-40s %15llu bytes\n  %-40s %15llu bytes\n",
                     "resident set of this process now", number(rss_bytes()),
                     "  at its largest so far", number(peak_rss_bytes()));
        std::fflush(file_);
    }

    MemoryPlan plan_;
    std::FILE* file_;
    std::size_t ranks_here_ = 1;
    std::uint64_t planned_here_ = 0;
};

}  // namespace zeropp
