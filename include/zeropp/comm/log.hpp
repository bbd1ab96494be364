// SPDX-License-Identifier: Apache-2.0
/// \file `CommLog`: what a rank's operations moved and how long it was busy with them.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <zeropp/core/error.hpp>

namespace zeropp {

/// DeepSpeed's "comms_logger".
struct CommsLoggerOptions {
    bool enabled = false;
    bool prof_all = true;
    std::vector<std::string> prof_ops{};  ///< those that are logged, unless all are
    bool verbose = false;                 ///< a line for each operation
};

enum class CommVerb { reduce_scatter, all_gather, broadcast, all_to_all, send, recv, barrier };
inline constexpr std::array<std::string_view, 7> comm_verb_names{
    "reduce_scatter", "all_gather", "broadcast", "all_to_all", "send", "recv", "barrier"};

/// Of one rank and one thread. Message sizes that have occurred before allocate nothing.
class CommLog {
public:
    /// Operations of one verb with messages of one size among so many ranks.
    struct Record {
        std::uint64_t message_bytes = 0;  ///< of all ranks together where each holds a part
        int ranks = 1;
        std::uint64_t calls = 0, sent = 0;  ///< `sent`: as the communicator counts
        double seconds = 0;                 ///< from each start until the rank saw the end
    };
    /// Names one record for as long as the log lives.
    struct Place {
        CommVerb verb = CommVerb::barrier;
        std::size_t index = 0;
    };

    /// Lines of `verbose` go to `lines`, which it borrows.
    explicit CommLog(const CommsLoggerOptions& options = {.enabled = true},
                     std::FILE* lines = nullptr)
        : lines_{options.verbose ? lines : nullptr} {
        logged_.fill(options.prof_all);
        if (options.prof_all) return;
        for (const std::string& name : options.prof_ops) choose(name);
    }

    bool logs(CommVerb verb) const noexcept { return logged_[index(verb)]; }
    Place started(CommVerb verb, std::uint64_t message_bytes, int ranks, std::uint64_t sent) {
        std::vector<Record>& all = records_[index(verb)];
        auto at = std::find_if(all.begin(), all.end(), [&](const Record& record) {
            return record.message_bytes == message_bytes && record.ranks == ranks;
        });
        if (at == all.end()) at = all.insert(at, {message_bytes, ranks});
        ++at->calls;
        at->sent += sent;
        return {verb, static_cast<std::size_t>(at - all.begin())};
    }
    /// `seconds`: of this operation alone, from its start until the rank has seen its end.
    void done(Place place, double seconds) {
        Record& record = records_[index(place.verb)][place.index];
        record.seconds += seconds;
        if (lines_ == nullptr) return;
        const double algorithm = gigabits_per_second(record.message_bytes, seconds);
        std::fprintf(lines_,
                     "comm op: %s | time (ms): %.3f | msg size (bytes): %llu | algbw (Gbps): %.2f "
                     "| busbw (Gbps): %.2f\n",
                     std::string{comm_verb_names[index(place.verb)]}.c_str(), 1e3 * seconds,
                     static_cast<unsigned long long>(record.message_bytes), algorithm,
                     algorithm * bus_factor(place.verb, record.ranks));
    }
    const std::vector<Record>& records(CommVerb verb) const { return records_[index(verb)]; }

    /// What the links carry for each byte of the message, by the algorithm that sends the least.
    static double bus_factor(CommVerb verb, int ranks) {
        const bool in_parts = verb == CommVerb::reduce_scatter || verb == CommVerb::all_gather ||
                              verb == CommVerb::all_to_all;
        return in_parts ? static_cast<double>(ranks - 1) / ranks : 1.0;
    }

    /// A row a verb, and under it one for each size of its messages.
    std::string table() const {
        std::string text =
            "communication (time: from each start until this rank saw the end, its work in "
            "between\n"
            "included; algbw: bytes of whole messages over it, busbw: bytes on the links over it; "
            "Gbit/s)\n";
        append_line(text, "operation", "message", "calls", "bytes", "sent", "time ms", "algbw",
                    "busbw");
        for (std::size_t v = 0; v < records_.size(); ++v) {
            if (!logged_[v]) continue;
            Totals all;
            for (const Record& record : records_[v]) all.add(CommVerb(v), record);
            if (all.calls == 0 && !named_[v]) continue;
            all.append_to(text, comm_verb_names[v], "");
            std::vector<Record> by_size = records_[v];
            std::sort(by_size.begin(), by_size.end(), [](const Record& a, const Record& b) {
                return std::pair{b.message_bytes, a.ranks} < std::pair{a.message_bytes, b.ranks};
            });
            for (const Record& record : by_size) {
                Totals one;
                one.add(CommVerb(v), record);
                one.append_to(text, "", std::to_string(record.message_bytes));
            }
        }
        for (const std::string& name : never_used_)
            text += name + ": is not used, zeropp reduces by reduce_scatter and all_gather\n";
        return text;
    }

private:
    struct Totals {
        std::uint64_t calls = 0, bytes = 0, sent = 0;
        double seconds = 0, bus_bytes = 0;

        void add(CommVerb verb, const Record& record) {
            calls += record.calls;
            bytes += record.calls * record.message_bytes;
            sent += record.sent;
            seconds += record.seconds;
            bus_bytes += static_cast<double>(record.calls * record.message_bytes) *
                         bus_factor(verb, record.ranks);
        }
        void append_to(std::string& text, std::string_view name, const std::string& size) const {
            char time[32], algorithm[32], bus[32];
            std::snprintf(time, sizeof time, "%.3f", 1e3 * seconds);
            std::snprintf(algorithm, sizeof algorithm, "%.2f", gigabits_per_second(bytes, seconds));
            std::snprintf(bus, sizeof bus, "%.2f", seconds > 0 ? bus_bytes * 8e-9 / seconds : 0.0);
            append_line(text, std::string{name}.c_str(), size.c_str(),
                        std::to_string(calls).c_str(), std::to_string(bytes).c_str(),
                        std::to_string(sent).c_str(), time, algorithm, bus);
        }
    };

    static std::size_t index(CommVerb verb) { return static_cast<std::size_t>(verb); }
    static double gigabits_per_second(std::uint64_t bytes, double seconds) {
        return seconds > 0 ? static_cast<double>(bytes) * 8e-9 / seconds : 0;
    }
    static void append_line(std::string& text, const char* a, const char* b, const char* c,
                            const char* d, const char* e, const char* f, const char* g,
                            const char* h) {
        char line[192];
        std::snprintf(line, sizeof line, "%-15s %12s %9s %15s %15s %12s %9s %9s\n", a, b, c, d, e,
                      f, g, h);
        text += line;
    }
    /// DeepSpeed's names of its functions, of which several may be one verb here.
    void choose(const std::string& name) {
        for (std::size_t v = 0; v < comm_verb_names.size(); ++v)
            if (name.starts_with(comm_verb_names[v])) {
                logged_[v] = named_[v] = true;
                return;
            }
        constexpr std::array others{
            "all_reduce", "all_reduce_coalesced", "inference_all_reduce", "reduce", "gather",
            "scatter",    "monitored_barrier"};
        require(std::find(others.begin(), others.end(), name) != others.end(), Errc::config,
                "comms_logger: prof_ops has '", name,
                "', expected names of operations: reduce_scatter, all_gather, broadcast, "
                "all_to_all, send, recv, barrier");
        never_used_.push_back(name);
    }

    std::FILE* lines_;
    std::array<bool, 7> logged_{}, named_{};
    std::array<std::vector<Record>, 7> records_;
    std::vector<std::string> never_used_;
};

}  // namespace zeropp
