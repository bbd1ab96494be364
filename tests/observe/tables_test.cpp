// SPDX-License-Identifier: Apache-2.0
/// \file Tests of what is printed about the time and the memory of a run.
#include <cstdlib>
#include <vector>

#include <zeropp/observe/memory_breakdown.hpp>
#include <zeropp/observe/wall_clock.hpp>

#include "support/catch.hpp"

namespace zp = zeropp;

namespace {

/// What `call` writes to the file that it is given.
template <class Call>
std::string printed(Call call) {
    char* text = nullptr;
    std::size_t size = 0;
    std::FILE* const file = ::open_memstream(&text, &size);
    call(file);
    std::fclose(file);
    const std::string result{text, size};
    std::free(text);
    return result;
}
std::size_t count(const std::string& text, const std::string& part) {
    std::size_t found = 0;
    for (std::size_t at = 0; (at = text.find(part, at)) != text.npos; ++at) ++found;
    return found;
}

}  // namespace

TEST_CASE("the wall clock's table has each phase in milliseconds of a step and in percent") {
    const std::string text = printed([](std::FILE* file) {
        zp::WallClock sink{{.file = file, .steps_per_table = 2}};
        for (int step = 1; step <= 5; ++step) {
            zp::StepEvent event{.step = step};
            event.phases.seconds = {0.010, 0.020, 0.004, 0.003, 0.002, 0.001, 0};
            sink.on(event);
        }
        sink.on(zp::EndEvent{.steps = 5});
    });
    const std::string table =
        "  forward         10.00 ms   25.0 %\n"
        "  backward        20.00 ms   50.0 %\n"
        "  reduction        4.00 ms   10.0 %\n"
        "  update           3.00 ms    7.5 %\n"
        "  gather           2.00 ms    5.0 %\n"
        "  data             1.00 ms    2.5 %\n"
        "  other            0.00 ms    0.0 %\n"
        "  step            40.00 ms  100.0 %\n";
    const std::string title =
        "wall clock of a step of rank 0 (reduction, gather and data: waiting), mean of ";
    CHECK(text == title + "steps 1 to 2\n" + table + title + "steps 3 to 4\n" + table + title +
                      "all 5 steps\n" + table);
}

TEST_CASE("memory is told three times: what was planned, and what the process has") {
    zp::MemoryPlan plan;
    plan.add("parameters", 1000);
    plan.add("exp_avg", 2000);
    plan.add("your 'w' and its gradients", 500, true);
    const std::string text = printed([&](std::FILE* file) {
        zp::MemoryBreakdown sink{plan, file};
        sink.on(zp::StartEvent{.planned_bytes = {3000, 2500}, .ranks_share_process = true});
        for (int step = 1; step <= 3; ++step) sink.on(zp::StepEvent{.step = step});
        sink.on(zp::EndEvent{});
    });
    CHECK(text.starts_with(
        "memory at the start\n"
        "  parameters                                          1000 bytes\n"
        "  exp_avg                                             2000 bytes\n"
        "  your 'w' and its gradients                           500 bytes (yours, not in the sum)\n"
        "  planned for this rank                               3000 bytes\n"
        "  planned for the 2 ranks of this process             5500 bytes\n"
        "  resident set of this process now "));
    CHECK(count(text, "memory after step 1\n") == 1);
    CHECK(count(text, "memory at the end\n") == 1);
    CHECK(count(text, "at its largest so far ") == 3);
}

TEST_CASE("the resident set grows by what is touched, and the peak is no less") {
    const std::uint64_t before = zp::rss_bytes();
    CHECK(before > 100'000);
    const std::vector<char> touched(std::size_t{32} << 20, 'x');
    CHECK(zp::rss_bytes() > before + (std::uint64_t{24} << 20));
    CHECK(zp::peak_rss_bytes() > before + (std::uint64_t{24} << 20));
    CHECK(touched.back() == 'x');
}
