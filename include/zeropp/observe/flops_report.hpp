// SPDX-License-Identifier: Apache-2.0
/// \file A profile of products as text: per module, and as a share of what the products can do.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <zeropp/core/flops_profile.hpp>
#include <zeropp/observe/log_file.hpp>

namespace zeropp {

/// DeepSpeed's "flops_profiler".
struct FlopsProfilerOptions {
    bool enabled = false;
    std::int64_t profile_step = 1;   ///< so many steps are taken before the one that is profiled
    std::int64_t module_depth = -1;  ///< of the aggregated tables, the deepest one; -1: all
    std::int64_t top_modules = 1;    ///< of each depth
    bool detailed = true;            ///< a row for each unit too
    std::optional<std::string> output_file{};
};

/// What a profile is of.
struct FlopsSubject {
    std::string what;  ///< "step 2 of rank 0 of 4"
    std::vector<std::string> unit_names{};
    std::vector<std::size_t> unit_parameters{};
    double step_seconds = 0;
    double rate = 0;        ///< FLOPs a second of the same products alone; 0: not measured
    std::string rate_of{};  ///< "768 x 768 x 768 in fp32 by oneDNN, 1 thread"
};

namespace detail {

struct FlopsRow {
    std::size_t parameters = 0;
    FlopsProfile::Unit work;
};

/// "encoder.block.0" up to depth 2 is "encoder.block"; the whole model has depth 0.
inline std::optional<std::string> module_at(const std::string& name, std::size_t depth) {
    std::size_t end = 0;
    for (std::size_t d = 0; d < depth; ++d) {
        if (end == std::string::npos) return std::nullopt;
        end = name.find('.', d == 0 ? 0 : end + 1);
    }
    return depth == 0 ? std::string{"model"} : name.substr(0, end);
}

inline void append_flops_row(std::string& text, const std::string& name, const FlopsRow& row,
                             const FlopsProfile::Unit& all) {
    const double seconds = row.work.seconds();
    const auto share = [](double part, double whole) { return whole > 0 ? 100 * part / whole : 0; };
    char line[256];
    std::snprintf(line, sizeof line,
                  "  %-28s %11zu %10.3f %10.3f %12.4f %12.4f %6.1f %6.1f %9.2f\n", name.c_str(),
                  row.parameters, 1e3 * row.work.forward.seconds, 1e3 * row.work.backward.seconds,
                  1e-9 * static_cast<double>(row.work.forward.flops),
                  1e-9 * static_cast<double>(row.work.backward.flops),
                  share(static_cast<double>(row.work.flops()), static_cast<double>(all.flops())),
                  share(seconds, all.seconds()),
                  seconds > 0 ? 1e-9 * static_cast<double>(row.work.flops()) / seconds : 0.0);
    text += line;
}

}  // namespace detail

/// FLOPs are those of the matrix products that ran, forward and backward, and no estimate.
inline std::string flops_report(const FlopsProfile& profile, const FlopsSubject& subject,
                                const FlopsProfilerOptions& options) {
    const FlopsProfile::Unit all = profile.total();
    const auto flops = static_cast<double>(all.flops());
    const double products = all.forward.product_seconds + all.backward.product_seconds;
    const double achieved = subject.step_seconds > 0 ? flops / subject.step_seconds : 0;
    std::string text = "flops profile of " + subject.what +
                       " (matrix products that ran, 2 m n k each; other operations have time, and "
                       "no FLOPs)\n";
    char line[256];
    const auto append = [&](const char* name, double value, const char* unit) {
        std::snprintf(line, sizeof line, "  %-44s %12.4f %s\n", name, value, unit);
        text += line;
    };
    append("step", 1e3 * subject.step_seconds, "ms");
    append("  of it forward", 1e3 * all.forward.seconds, "ms");
    append("  of it backward", 1e3 * all.backward.seconds, "ms");
    append("  of both matrix products", 1e3 * products, "ms");
    append("forward", 1e-9 * static_cast<double>(all.forward.flops), "GFLOP");
    append("backward", 1e-9 * static_cast<double>(all.backward.flops), "GFLOP");
    append("achieved over the step", 1e-9 * achieved, "GFLOP/s");
    append("achieved within the products", products > 0 ? 1e-9 * flops / products : 0, "GFLOP/s");
    if (subject.rate > 0) {
        append("the same products alone, in this run", 1e-9 * subject.rate,
               ("GFLOP/s (" + subject.rate_of + ")").c_str());
        append("MFU (achieved over the step / alone)", 100 * achieved / subject.rate, "%");
    }
    const auto append_head = [&](const char* first) {
        std::snprintf(line, sizeof line, "  %-28s %11s %10s %10s %12s %12s %6s %6s %9s\n", first,
                      "parameters", "fwd ms", "bwd ms", "fwd GFLOP", "bwd GFLOP", "% of F",
                      "% of t", "GFLOP/s");
        text += line;
    };

    std::size_t deepest = 0;
    for (const std::string& name : subject.unit_names)
        deepest = std::max<std::size_t>(
            deepest, 1 + static_cast<std::size_t>(std::count(name.begin(), name.end(), '.')));
    if (options.module_depth >= 0)
        deepest = std::min(deepest, static_cast<std::size_t>(options.module_depth));
    text += "the largest modules of each depth, by FLOPs\n";
    append_head("module");
    for (std::size_t depth = 0; depth <= deepest; ++depth) {
        std::map<std::string, detail::FlopsRow> modules;
        for (std::size_t u = 0; u < profile.units().size(); ++u)
            if (const auto name = detail::module_at(subject.unit_names[u], depth)) {
                modules[*name].parameters += subject.unit_parameters[u];
                modules[*name].work += profile.units()[u];
            }
        std::vector<std::pair<std::string, detail::FlopsRow>> sorted(modules.begin(),
                                                                     modules.end());
        std::stable_sort(sorted.begin(), sorted.end(), [](const auto& a, const auto& b) {
            return a.second.work.flops() > b.second.work.flops();
        });
        const auto most = static_cast<std::size_t>(std::max<std::int64_t>(0, options.top_modules));
        for (std::size_t i = 0; i < std::min(most, sorted.size()); ++i)
            detail::append_flops_row(text, std::to_string(depth) + " " + sorted[i].first,
                                     sorted[i].second, all);
    }
    if (options.detailed) {
        text += "every unit, its own work (what units inside it do is theirs)\n";
        append_head("unit");
        for (std::size_t u = 0; u < profile.units().size(); ++u)
            detail::append_flops_row(text, subject.unit_names[u],
                                     {subject.unit_parameters[u], profile.units()[u]}, all);
    }
    return text;
}

/// To the options' file, or to standard output.
inline void write_flops_report(const std::string& report, const FlopsProfilerOptions& options) {
    LogFile{options.output_file.value_or("/dev/stdout")}.write(report, "the flops profile");
}

}  // namespace zeropp
