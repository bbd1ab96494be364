// SPDX-License-Identifier: Apache-2.0
/// \file `JsonLog`: a sink that appends one JSON object a line to a file: events "step",
/// "evaluation" and "end".
#pragma once

#include <string>
#include <utility>

#include <zeropp/observe/events.hpp>
#include <zeropp/observe/json_line.hpp>
#include <zeropp/observe/log_file.hpp>

namespace zeropp {

/// Owns the file, which it empties first unless it is open already (/dev/stdout). A line is on its
/// way to the disk when `on` returns, so that another program can follow the run.
class JsonLog final : public Sink {
public:
    explicit JsonLog(std::string path) : file_{std::move(path)} {}

    void on(const StepEvent& event) override {
        JsonLine line;
        line.field("event", "step")
            .field("step", event.step)
            .field("loss", event.loss)
            .field("lr", event.lr)
            .field("grad_norm", event.gradient_norm)
            .field("seconds", event.seconds)
            .field("tokens_per_second", tokens_per_second(event))
            .field("tokens", event.tokens)
            .field("skipped", event.skipped);
        if (event.skipped) line.field("non_finite", event.non_finite);
        if (event.loss_scale > 0) line.field("loss_scale", event.loss_scale);
        if (event.phases.total() > 0)
            for (std::size_t i = 0; i < phase_names.size(); ++i)
                line.field("ms_" + std::string{phase_names[i]}, 1e3 * event.phases.seconds[i]);
        write(line);
    }
    void on(const EvaluationEvent& event) override {
        write(JsonLine{}
                  .field("event", "evaluation")
                  .field("step", event.step)
                  .field("loss", event.loss)
                  .field("tokens", event.tokens)
                  .field("examples", event.examples)
                  .field("seconds", event.seconds));
    }
    void on(const EndEvent& event) override {
        write(JsonLine{}
                  .field("event", "end")
                  .field("steps", event.steps)
                  .field("skipped", event.skipped)
                  .field("seconds", event.seconds)
                  .field("stopped", event.stopped)
                  .field("peak_rss_bytes", event.peak_rss_bytes)
                  .field("planned_bytes", event.planned_bytes)
                  .field("bytes_sent", event.bytes_sent));
    }

private:
    void write(const JsonLine& line) { file_.write(line.text() + "\n", "a line of the log"); }

    LogFile file_;
};

}  // namespace zeropp
