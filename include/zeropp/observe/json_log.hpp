// SPDX-License-Identifier: Apache-2.0
/// \file `JsonLog`: a sink that appends one JSON object a line to a file: events "step",
/// "evaluation" and "end".
#pragma once

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>
#include <utility>

#include <zeropp/core/descriptor.hpp>
#include <zeropp/core/error.hpp>
#include <zeropp/observe/events.hpp>
#include <zeropp/observe/json_line.hpp>

namespace zeropp {

/// Owns the file, which it empties first unless it is open already (/dev/stdout). A line is on its
/// way to the disk when `on` returns, so that another program can follow the run.
class JsonLog final : public Sink {
public:
    explicit JsonLog(std::string path) : path_{std::move(path)}, file_{open(path_), &std::fclose} {
        require(file_ != nullptr, Errc::io, path_, ": ", std::strerror(errno),
                ", expected a file that can be written");
    }

    void on(const StepEvent& event) override {
        write(JsonLine{}
                  .field("event", "step")
                  .field("step", event.step)
                  .field("loss", event.loss)
                  .field("lr", event.lr)
                  .field("grad_norm", event.gradient_norm)
                  .field("seconds", event.seconds)
                  .field("tokens_per_second", tokens_per_second(event))
                  .field("tokens", event.tokens)
                  .field("skipped", event.skipped));
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
    static std::FILE* open(const std::string& path) {
        const int named = descriptor_named(path);
        if (named < 0) return std::fopen(path.c_str(), "w");
        const int descriptor = duplicate_to_write(named);
        return descriptor < 0 ? nullptr : ::fdopen(descriptor, "w");
    }
    void write(const JsonLine& line) {
        const std::string text = line.text() + "\n";
        const bool written = std::fwrite(text.data(), 1, text.size(), file_.get()) == text.size() &&
                             std::fflush(file_.get()) == 0;
        require(written, Errc::io, path_, ": ", std::strerror(errno),
                ", expected to write a line of the log");
    }

    std::string path_;
    std::unique_ptr<std::FILE, int (*)(std::FILE*)> file_;
};

}  // namespace zeropp
