// SPDX-License-Identifier: Apache-2.0
/// \file `CsvMonitor`: a sink with one CSV file for each metric, laid out as DeepSpeed's.
#pragma once

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <iterator>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <zeropp/observe/events.hpp>
#include <zeropp/observe/log_file.hpp>
#include <zeropp/observe/metrics.hpp>

namespace zeropp {

/// DeepSpeed's "csv_monitor".
struct CsvMonitorOptions {
    bool enabled = false;
    std::string output_path{}, job_name = "DeepSpeedJobName";
};

/// `Train/Samples/lr` goes to output_path/job_name/Train_Samples_lr.csv, whose header is `step,lr`
/// and whose first column is the number of examples so far. What an earlier run has left there
/// stays: rows are added below it. Numbers have the fewest digits that read back the same.
class CsvMonitor final : public Sink {
public:
    explicit CsvMonitor(const CsvMonitorOptions& options)
        : folder_{monitor_folder("csv_monitor", options.output_path, options.job_name)} {
        write(metrics_of(StepEvent{}), {});  // what cannot be written is told before the first step
    }
    void on(const StepEvent& event) override { write(metrics_of(event), event.samples); }
    void on(const EvaluationEvent& event) override { write(metrics_of(event), event.samples); }

private:
    void write(const std::vector<Metric>& metrics, std::optional<std::int64_t> samples) {
        for (const Metric& metric : metrics) {
            LogFile& file = file_of(metric.name);
            if (!samples) continue;
            std::string row = std::to_string(*samples) + ',';
            char digits[32];
            if (std::isnan(metric.value))
                row += "nan";  // of either sign
            else
                row.append(digits, std::to_chars(digits, std::end(digits), metric.value).ptr);
            file.write(row + '\n', "a row of the metric");
        }
    }
    LogFile& file_of(std::string_view metric) {
        const auto found = files_.find(metric);
        if (found != files_.end()) return found->second;
        std::string name{metric};
        std::replace(name.begin(), name.end(), '/', '_');
        LogFile& file = files_
                            .try_emplace(std::string{metric}, (folder_ / (name + ".csv")).string(),
                                         LogFile::Open::at_the_end)
                            .first->second;
        if (file.is_empty())
            file.write("step," + std::string{metric.substr(metric.rfind('/') + 1)} + '\n',
                       "the header of the metric");
        return file;
    }

    std::filesystem::path folder_;
    std::map<std::string, LogFile, std::less<>> files_;
};

}  // namespace zeropp
