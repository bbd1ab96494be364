// SPDX-License-Identifier: Apache-2.0
#include <zeropp/data/input.hpp>
#include <zeropp/observe/flops_report.hpp>

#include "support/catch.hpp"
#include "support/temporary.hpp"

namespace zp = zeropp;

namespace {

zp::FlopsProfile some_profile() {
    zp::FlopsProfile profile{4};
    const auto work = [&](std::size_t unit, bool backward, std::uint64_t flops) {
        profile.enter_unit(unit, backward);
        profile.product(flops, 1e-9 * static_cast<double>(flops));
        profile.leave_unit();
    };
    work(1, false, 1'000'000'000);
    work(2, false, 3'000'000'000);
    work(3, false, 2'000'000'000);
    work(2, true, 6'000'000'000);
    return profile;
}
const zp::FlopsSubject subject{
    .what = "step 2 of rank 0 of 2",
    .unit_names = {"shared", "encoder.block.0", "encoder.block.1", "decoder.block.0"},
    .unit_parameters = {1000, 100, 200, 300},
    .step_seconds = 2,
    .rate = 24e9,
    .rate_of = "768 x 768 x 768 in fp32 by oneDNN, 1 thread"};

/// The rows of a table, without the columns of time, which differ from run to run.
std::string rows(const std::string& text, const std::string& head) {
    std::string result;
    std::size_t at = text.find('\n', text.find(head)) + 1;
    while (at < text.size() && text[at] == ' ') {
        const std::size_t end = text.find('\n', at);
        const std::string line = text.substr(at, end - at);
        result += line.substr(0, 42) + line.substr(64, 26 + 7) + "\n";
        at = end + 1;
    }
    return result;
}

}  // namespace

TEST_CASE("MFU is what a step achieved over what the same products reach alone") {
    const std::string text = zp::flops_report(some_profile(), subject, {});
    CHECK(text.starts_with("flops profile of step 2 of rank 0 of 2 (matrix products that ran, "));
    CHECK(text.find("  step                                            2000.0000 ms\n") !=
          text.npos);
    CHECK(text.find("  forward                                            6.0000 GFLOP\n") !=
          text.npos);
    CHECK(text.find("  backward                                           6.0000 GFLOP\n") !=
          text.npos);
    CHECK(text.find("  achieved over the step                             6.0000 GFLOP/s\n") !=
          text.npos);
    CHECK(text.find("  achieved within the products                       1.0000 GFLOP/s\n") !=
          text.npos);
    CHECK(text.find("  the same products alone, in this run              24.0000 GFLOP/s (768 x "
                    "768 x 768 in fp32 by oneDNN, 1 thread)\n") != text.npos);
    CHECK(text.find("  MFU (achieved over the step / alone)              25.0000 %\n") !=
          text.npos);
}

TEST_CASE("modules are summed by depth, and every unit has a row") {
    const std::string text = zp::flops_report(some_profile(), subject, {.top_modules = 2});
    CHECK(rows(text, "  module") ==
          "  0 model                             1600       6.0000       6.0000  100.0\n"
          "  1 encoder                            300       4.0000       6.0000   83.3\n"
          "  1 decoder                            300       2.0000       0.0000   16.7\n"
          "  2 encoder.block                      300       4.0000       6.0000   83.3\n"
          "  2 decoder.block                      300       2.0000       0.0000   16.7\n"
          "  3 encoder.block.1                    200       3.0000       6.0000   75.0\n"
          "  3 decoder.block.0                    300       2.0000       0.0000   16.7\n");
    CHECK(rows(text, "  unit") ==
          "  shared                              1000       0.0000       0.0000    0.0\n"
          "  encoder.block.0                      100       1.0000       0.0000    8.3\n"
          "  encoder.block.1                      200       3.0000       6.0000   75.0\n"
          "  decoder.block.0                      300       2.0000       0.0000   16.7\n");
    const std::string shallow =
        zp::flops_report(some_profile(), subject, {.module_depth = 1, .detailed = false});
    CHECK(rows(shallow, "  module") ==
          "  0 model                             1600       6.0000       6.0000  100.0\n"
          "  1 encoder                            300       4.0000       6.0000   83.3\n");
    CHECK(shallow.find("every unit") == shallow.npos);
}

TEST_CASE("the report goes to its file, or the error says why not") {
    const zp::testing::TemporaryFolder folder;
    zp::FlopsProfilerOptions options{.output_file = (folder / "flops.txt").string()};
    zp::write_flops_report("the report\n", options);
    CHECK(zp::read_text(folder / "flops.txt") == "the report\n");
    options.output_file = (folder / "none/flops.txt").string();
    CHECK(zp::testing::message_of([&] { zp::write_flops_report("", options); }, folder.path()) ==
          "zeropp: none/flops.txt: No such file or directory, expected a file that can be written");
}
