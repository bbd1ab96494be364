// SPDX-License-Identifier: Apache-2.0
/// \file A planned training as a table for people and as JSON for programs.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdio>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <zeropp/core/json.hpp>
#include <zeropp/io/training_plan.hpp>
#include <zeropp/zero/deepspeed_estimates.hpp>

namespace zeropp {

struct PlanReport {
    std::string model, optimizer, communicator;        ///< names
    std::size_t source_length = 0, target_length = 0;  ///< of the longest batch, in tokens
    DeepSpeedModel deepspeed;
    PlanRequest request;
    std::vector<PlannedRun> runs{};
    /// A run that somebody asked for, and who did.
    struct Choice {
        int stage;
        DType precision;
        std::string by;
        bool recompute = false;
    };
    std::optional<Choice> choice{};

    std::string batch() const {
        const int micro_steps = request.setup.options.get<Accumulation>().steps;
        return "micro-batch " + std::to_string(request.micro_batch) + " of " +
               std::to_string(source_length) + " source and " + std::to_string(target_length) +
               " target tokens" +
               (micro_steps == 1 ? "" : ", " + std::to_string(micro_steps) + " micro-steps a step");
    }
    /// Of `deepspeed.parameters`: the others are frozen.
    std::size_t trained_parameters() const {
        std::size_t count = 0;
        for (const Unit& unit : request.setup.units)
            for (const Parameter& parameter : unit.parameters)
                if (parameter.trainable) count += parameter.size();
        return count;
    }
    bool is_chosen(const PlannedRun& run) const {
        return choice && choice->stage == run.stage && choice->precision == run.precision &&
               choice->recompute == run.recompute;
    }
};

namespace detail {

/// The kinds of memory of all runs, in the order of a table.
inline std::vector<std::string> kinds_of(const std::vector<PlannedRun>& runs) {
    constexpr std::array<std::string_view, 6> first{"parameters", "gathered parameters",
                                                    "gradients",  "gradient staging",
                                                    "master",     "master remainder"};
    std::vector<std::string> kinds{first.begin(), first.end()};
    for (const PlannedRun& run : runs)
        for (const MemoryPlan::Row& row : run.memory.rows())
            if (std::find(kinds.begin(), kinds.end(), row.name) == kinds.end() &&
                row.name != "communication" && row.name != "activations")
                kinds.push_back(row.name);
    kinds.insert(kinds.end(), {"communication", "activations"});
    std::erase_if(kinds, [&](const std::string& kind) {
        return std::all_of(runs.begin(), runs.end(),
                           [&](const PlannedRun& run) { return run.memory.bytes_of(kind) == 0; });
    });
    return kinds;
}

/// One unit for a whole table or picture.
struct PlanUnit {
    const char* name;
    double bytes;

    explicit PlanUnit(const std::vector<PlannedRun>& runs) : name{"KiB"}, bytes{0x1p10} {
        std::size_t most = 0;
        for (const PlannedRun& run : runs) most = std::max(most, run.memory.total());
        if (most >= std::size_t{10} << 30)
            *this = {"GiB", 0x1p30};
        else if (most >= std::size_t{10} << 20)
            *this = {"MiB", 0x1p20};
    }
    std::string text(std::size_t count) const {
        char digits[48];
        std::snprintf(digits, sizeof digits, "%.*f", *name == 'G' ? 2 : 1,
                      static_cast<double>(count) / bytes);
        return digits;
    }

private:
    PlanUnit(const char* its_name, double its_bytes) : name{its_name}, bytes{its_bytes} {}
};

inline std::string table_line(std::string_view name, const std::vector<std::string>& cells,
                              std::size_t first_width = 30) {
    std::string line{name};
    line.resize(std::max(line.size(), first_width), ' ');
    for (const std::string& cell : cells)
        line.append(cell.size() < 14 ? 14 - cell.size() : 1, ' ') += cell;
    return line + "\n";
}

struct EstimateRow {
    std::string name;
    int stage;
    bool offload_optimizer, offload_parameters;
    DeepSpeedEstimate estimate;
};
inline std::vector<EstimateRow> estimate_rows(const DeepSpeedModel& model) {
    return {
        {"ZeRO-2", 2, false, false, deepspeed_estimate(model, DeepSpeedZero2{false})},
        {"ZeRO-2, offload", 2, true, false, deepspeed_estimate(model, DeepSpeedZero2{true})},
        {"ZeRO-3", 3, false, false, deepspeed_estimate(model, DeepSpeedZero3{false, false})},
        {"ZeRO-3, offload", 3, true, false, deepspeed_estimate(model, DeepSpeedZero3{true, false})},
        {"ZeRO-3, offload all", 3, true, true, deepspeed_estimate(model, DeepSpeedZero3{})}};
}

inline std::string micro_batch_text(std::size_t micro_batch) {
    return micro_batch == 0 ? "none"
                            : std::to_string(micro_batch) +
                                  (micro_batch == largest_planned_micro_batch ? "+" : "");
}

}  // namespace detail

namespace detail {

/// Four columns, the stages, of one precision.
inline std::string stages_text(const PlanReport& report, const PlannedRun* stages,
                               const std::vector<std::string>& kinds, const PlanUnit& unit) {
    std::string text;
    const auto line = [&](std::string_view name, auto cell) {
        std::vector<std::string> cells;
        for (int s = 0; s < 4; ++s) cells.push_back(cell(stages[s]));
        text += table_line(name, cells);
    };
    line(std::string{unit.name} + " of a rank, " + std::string{name_of(stages->precision)} +
             (stages->recompute ? ", recomputing" : ""),
         [&](const PlannedRun& of) {
             return (report.is_chosen(of) ? "*stage " : "stage ") + std::to_string(of.stage);
         });
    for (const std::string& kind : kinds) {
        const auto has = [&](const PlannedRun& of) { return of.memory.bytes_of(kind) != 0; };
        if (std::any_of(stages, stages + 4, has))
            line(kind, [&](const PlannedRun& of) {
                return has(of) ? unit.text(of.memory.bytes_of(kind)) : "-";
            });
    }
    line("all", [&](const PlannedRun& of) { return unit.text(of.memory.total()); });
    line("sent by a rank in a step",
         [&](const PlannedRun& of) { return unit.text(of.sent.total()); });
    if (const std::size_t memory = report.request.device_memory; memory != 0)
        line("micro-batch within " + byte_size_text(memory),
             [](const PlannedRun& of) { return micro_batch_text(of.largest_micro_batch); });
    return text + "\n";
}

inline std::string estimates_text(const PlanReport& report, const PlanUnit& unit) {
    std::vector<std::string> heads{"GPU", "CPU"};
    for (const DType precision : report.request.precisions)
        heads.push_back("zeropp " + std::string{name_of(precision)});
    std::string text = table_line(std::string{"DeepSpeed estimates, "} + unit.name, heads);
    for (const EstimateRow& row : estimate_rows(report.deepspeed)) {
        std::vector<std::string> cells{unit.text(row.estimate.gpu), unit.text(row.estimate.cpu)};
        for (const PlannedRun& run : report.runs)
            if (run.stage == row.stage && !run.recompute)
                cells.push_back(row.offload_optimizer ? "-" : unit.text(run.state));
        text += table_line(row.name, cells);
    }
    return text +
           "GPU: model states of a rank in 16 bits with Adam, without activations, staging and "
           "communication;\nCPU: of a node. zeropp: all but the activations.\n";
}

}  // namespace detail

/// A table of each precision, and DeepSpeed's estimates.
inline std::string plan_text(const PlanReport& report) {
    const std::vector<std::string> kinds = detail::kinds_of(report.runs);
    const detail::PlanUnit unit{report.runs};
    const std::size_t trained = report.trained_parameters();
    std::string text =
        report.model + ", " + std::to_string(report.deepspeed.parameters) + " parameters, " +
        (trained == report.deepspeed.parameters ? ""
                                                : std::to_string(trained) + " of them trained, ") +
        "on " + std::to_string(report.request.setup.ranks) + " " + report.communicator +
        " ranks; " + report.optimizer + "; " + report.batch() + "\n";
    if (report.choice) text += "*: what " + report.choice->by + " says\n";
    text += "\n";
    for (std::size_t first = 0; first + 4 <= report.runs.size(); first += 4)
        text += detail::stages_text(report, &report.runs[first], kinds, unit);
    return text + detail::estimates_text(report, unit);
}

/// One object; bytes are exact.
inline Json plan_json(const PlanReport& report) {
    Json runs = Json::array();
    for (const PlannedRun& run : report.runs) {
        Json bytes = Json::object();
        for (const MemoryPlan::Row& row : run.memory.rows()) bytes[row.name] = row.bytes;
        Json one{{"stage", run.stage},
                 {"precision", name_of(run.precision)},
                 {"recompute", run.recompute},
                 {"chosen", report.is_chosen(run)},
                 {"bytes", bytes},
                 {"total_bytes", run.memory.total()},
                 {"sent_bytes_a_step",
                  {{"gradients", run.sent.gradients},
                   {"parameters", run.sent.parameters},
                   {"norms and loss", run.sent.told},
                   {"total", run.sent.total()}}}};
        if (report.request.device_memory != 0) one["largest_micro_batch"] = run.largest_micro_batch;
        runs.push_back(std::move(one));
    }
    Json estimates = Json::array();
    for (const detail::EstimateRow& row : detail::estimate_rows(report.deepspeed))
        estimates.push_back({{"stage", row.stage},
                             {"offload_optimizer", row.offload_optimizer},
                             {"offload_parameters", row.offload_parameters},
                             {"gpu_bytes", row.estimate.gpu},
                             {"cpu_bytes", row.estimate.cpu}});
    Json all{{"model", report.model},
             {"parameters", report.deepspeed.parameters},
             {"trained_parameters", report.trained_parameters()},
             {"largest_layer_parameters", report.deepspeed.largest_layer},
             {"world", report.request.setup.ranks},
             {"nodes", report.deepspeed.nodes},
             {"optimizer", report.optimizer},
             {"communicator", report.communicator},
             {"micro_batch", report.request.micro_batch},
             {"source_length", report.source_length},
             {"target_length", report.target_length},
             {"accumulation", report.request.setup.options.get<Accumulation>().steps},
             {"runs", runs},
             {"deepspeed_estimates", estimates}};
    if (report.request.device_memory != 0)
        all["device_memory_bytes"] = report.request.device_memory;
    return all;
}

}  // namespace zeropp
