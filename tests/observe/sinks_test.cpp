// SPDX-License-Identifier: Apache-2.0
/// \file Tests of the sinks: the log's exact lines, and what a person is shown.
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include <zeropp/observe/json_log.hpp>
#include <zeropp/observe/progress.hpp>

#include "support/catch.hpp"

namespace zp = zeropp;

namespace {

/// A file of its own, gone with the test.
struct ScratchFile {
    ScratchFile() {
        char name[] = "/tmp/zeropp-sinks-XXXXXX";
        const int file = mkstemp(name);
        REQUIRE(file >= 0);
        close(file);
        path = name;
    }
    ~ScratchFile() { std::remove(path.c_str()); }

    std::string text() const {
        std::stringstream all;
        all << std::ifstream{path}.rdbuf();
        return all.str();
    }
    std::string path;
};

const zp::StepEvent first_step{
    .step = 1, .loss = 2.5, .lr = 1e-3f, .gradient_norm = 0.75, .seconds = 0.5, .tokens = 100};

}  // namespace

TEST_CASE("the log holds one object a line", "[json_log]") {
    ScratchFile file;
    zp::JsonLog log{file.path};
    log.on(first_step);
    log.on(
        zp::EvaluationEvent{.step = 1, .loss = 2.25, .tokens = 40, .examples = 8, .seconds = 0.25});
    log.on(zp::EndEvent{.steps = 1,
                        .seconds = 1.5,
                        .peak_rss_bytes = {1000},
                        .planned_bytes = {600, 500},
                        .bytes_sent = {64, 64}});
    CHECK(
        file.text() ==
        R"({"event":"step","step":1,"loss":2.5,"lr":0.001,"grad_norm":0.75,"seconds":0.5,)"
        R"("tokens_per_second":200,"tokens":100,"skipped":false})"
        "\n"
        R"({"event":"evaluation","step":1,"loss":2.25,"tokens":40,"examples":8,"seconds":0.25})"
        "\n"
        R"({"event":"end","steps":1,"skipped":0,"seconds":1.5,"stopped":false,"peak_rss_bytes":[1000],)"
        R"("planned_bytes":[600,500],"bytes_sent":[64,64]})"
        "\n");
}

TEST_CASE("a log that cannot be written is an error at once", "[json_log]") {
    CHECK_THROWS_WITH(zp::JsonLog{"/dev/null/log.jsonl"},
                      "zeropp: /dev/null/log.jsonl: Not a directory, expected a file that can be "
                      "written");
}

TEST_CASE("away from a terminal progress is plain lines", "[progress]") {
    ScratchFile file;
    std::FILE* out = std::fopen(file.path.c_str(), "w");
    {
        zp::Progress progress{{.file = out, .steps_per_line = 2}};
        progress.on(zp::StartEvent{.what = "a model on 2 ranks",
                                   .steps = 3,
                                   .planned_bytes = {1'000'000'000, 500'000'000},
                                   .ranks_share_process = true});
        for (int step = 1; step <= 3; ++step) {
            zp::StepEvent event = first_step;
            event.step = step;
            progress.on(event);
        }
        zp::StepEvent skipped = first_step;
        skipped.step = 2;
        skipped.skipped = true;
        skipped.non_finite = "shared.weight of rank 1";
        skipped.loss_scale = 65536;
        progress.on(skipped);
        progress.on(zp::EndEvent{.steps = 3, .seconds = 61});
    }
    std::fclose(out);
    const std::string text = file.text();
    CHECK(text.find("a model on 2 ranks\nstep 1/3  loss 2.5000  lr 1.00e-03  200 tokens/s") == 0);
    CHECK(text.find("\nstep 2/3  ") != std::string::npos);
    CHECK(text.find("\nstep 3/3  ") != std::string::npos);
    CHECK(text.find("\nstep 2/3  skipped, not finite: shared.weight of rank 1; the loss scale was "
                    "65536\n") != std::string::npos);
    CHECK(text.find(" (planned 1.50 GB)\n") != std::string::npos);
    CHECK(text.find("\ntrained 3 steps in 1:01, peak memory ") != std::string::npos);
    CHECK(text.find('\r') == std::string::npos);
}
