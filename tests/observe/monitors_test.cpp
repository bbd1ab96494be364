// SPDX-License-Identifier: Apache-2.0
/// \file Tests of the metrics' files: DeepSpeed's CSV layout, and TensorBoard's own bytes.
#include <csignal>
#include <limits>

#include <sys/resource.h>

#include <zeropp/format/file.hpp>
#include <zeropp/observe/csv_monitor.hpp>
#include <zeropp/observe/tensorboard.hpp>

#include "support/catch.hpp"
#include "support/golden.hpp"
#include "support/temporary.hpp"

namespace zp = zeropp;
using zp::testing::message_of;
using zp::testing::TemporaryFolder;

namespace {

std::string bytes_of(const std::filesystem::path& path) {
    const zp::InputFile file{path};
    std::string bytes(file.size(), '\0');
    file.read_at(0, std::as_writable_bytes(std::span{bytes}));
    return bytes;
}
zp::StepEvent step_of(std::int64_t step) {
    return {.step = step,
            .loss = 2.5 / static_cast<double>(step),
            .lr = 1e-3f,
            .gradient_norm = 0.75,
            .seconds = 0.5,
            .tokens = 100,
            .samples = 16 * step};
}
std::vector<std::string> names_in(const std::filesystem::path& folder) {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator{folder})
        names.push_back(entry.path().filename().string());
    std::sort(names.begin(), names.end());
    return names;
}

/// While it lives no file of this process grows beyond so many bytes: a full disk's place.
class FullDisk {
public:
    explicit FullDisk(rlim_t bytes) {
        ::getrlimit(RLIMIT_FSIZE, &limit_);
        const rlimit small{bytes, limit_.rlim_max};
        ::setrlimit(RLIMIT_FSIZE, &small);
    }
    ~FullDisk() {
        ::setrlimit(RLIMIT_FSIZE, &limit_);
        std::signal(SIGXFSZ, before_);
    }

private:
    void (*before_)(int) = std::signal(SIGXFSZ, SIG_IGN);
    rlimit limit_{};
};

}  // namespace

TEST_CASE("each metric is a CSV file named and laid out as DeepSpeed's", "[csv]") {
    const TemporaryFolder folder;
    const zp::CsvMonitorOptions options{
        .enabled = true, .output_path = folder.path(), .job_name = "job"};
    {
        zp::CsvMonitor monitor{options};
        monitor.on(step_of(1));
        zp::StepEvent second = step_of(2);
        second.loss = -std::numeric_limits<double>::quiet_NaN();
        second.loss_scale = 65536;
        second.phases.seconds = {0.01, 0.02, 0.003, 0.004, 0.005, 0.006, 0.007};
        monitor.on(second);
        monitor.on(zp::EvaluationEvent{.step = 2, .loss = 2.25, .samples = 32});
    }
    const std::filesystem::path job = folder / "job";
    CHECK(bytes_of(job / "Train_Samples_train_loss.csv") == "step,train_loss\n16,2.5\n32,nan\n");
    CHECK(bytes_of(job / "Train_Samples_lr.csv") == "step,lr\n16,0.001\n32,0.001\n");
    CHECK(bytes_of(job / "Train_Samples_loss_scale.csv") == "step,loss_scale\n32,65536\n");
    CHECK(bytes_of(job / "Train_Samples_elapsed_time_ms_forward.csv") ==
          "step,elapsed_time_ms_forward\n32,10\n");
    CHECK(bytes_of(job / "Train_Samples_elapsed_time_ms_backward.csv") ==
          "step,elapsed_time_ms_backward\n32,23\n");
    CHECK(bytes_of(job / "Train_Samples_elapsed_time_ms_step.csv") ==
          "step,elapsed_time_ms_step\n32,4\n");
    CHECK(bytes_of(job / "Validation_Samples_loss.csv") == "step,loss\n32,2.25\n");
    CHECK(names_in(job).size() == 14);

    zp::CsvMonitor again{options};  // a run that goes on there
    again.on(step_of(4));
    CHECK(bytes_of(job / "Train_Samples_train_loss.csv") ==
          "step,train_loss\n16,2.5\n32,nan\n64,0.625\n");
}

TEST_CASE("TensorBoard's records are those that its own writer makes", "[tensorboard]") {
    const double nan = std::numeric_limits<double>::quiet_NaN();
    const double time = 1700000000.5;
    const std::string written =
        zp::detail::tensorboard_header(1700000000.25) +
        zp::detail::tensorboard_scalars(
            time, 16, {{"Train/Samples/train_loss", 2.5}, {"Train/Samples/lr", 1e-3}}) +
        zp::detail::tensorboard_scalars(
            time, 300, {{"Train/Samples/train_loss", nan}, {"Train/Samples/lr", 0}}) +
        zp::detail::tensorboard_scalars(time, std::int64_t{1} << 40,
                                        {{"Validation/Samples/loss", -1e30}});
    CHECK((written == bytes_of(zp::testing::golden("tfevents/scalars.tfevents"))));
    CHECK(zp::detail::crc32c("123456789") == 0xe3069283);  // the catalogue's check value
}

TEST_CASE("each run writes an event file of its own", "[tensorboard]") {
    const TemporaryFolder folder;
    const zp::TensorBoardOptions options{.enabled = true, .output_path = folder.path()};
    zp::TensorBoard first{options}, second{options};
    first.on(step_of(1));
    const auto names = names_in(folder / "DeepSpeedJobName");
    REQUIRE(names.size() == 2);
    CHECK(names[0].starts_with("events.out.tfevents.1"));
    CHECK(names[0].ends_with("." + std::to_string(::getpid()) + ".0"));
    CHECK(bytes_of(folder / "DeepSpeedJobName" / names[0]).size() > 200);
    CHECK(bytes_of(folder / "DeepSpeedJobName" / names[1]).size() == 12 + 24 + 4);
}

TEST_CASE("a folder that cannot be made, and a disk that is full, are one clear error",
          "[csv][tensorboard]") {
    const TemporaryFolder folder;
    const std::string file = folder.write("file", "").string();
    CHECK(message_of([&] { zp::CsvMonitor{{.output_path = file, .job_name = "job"}}; },
                     folder.path()) ==
          "zeropp: csv_monitor: file/job: Not a directory, expected a folder that can be made and "
          "written to");
    CHECK(message_of([&] { zp::TensorBoard{{.output_path = file, .job_name = ""}}; },
                     folder.path()) ==
          "zeropp: tensorboard: file/: File exists, expected a folder that can be made and "
          "written to");
    CHECK(message_of([&] { zp::CsvMonitor{{.job_name = ""}}; }) ==
          "zeropp: csv_monitor: output_path and job_name are empty, expected a folder's name");
    folder.write("Train_Samples_lr.csv", "");
    std::filesystem::permissions(folder / "Train_Samples_lr.csv", std::filesystem::perms::none);
    if (::access((folder / "Train_Samples_lr.csv").c_str(), W_OK) != 0)  // not for root
        CHECK(message_of([&] { zp::CsvMonitor{{.output_path = folder.path(), .job_name = ""}}; },
                         folder.path()) ==
              "zeropp: Train_Samples_lr.csv: Permission denied, "
              "expected a file that can be written");

    zp::CsvMonitor csv{{.output_path = folder.path(), .job_name = "a"}};
    zp::TensorBoard events{{.output_path = folder.path(), .job_name = "a"}};
    std::string of_csv, of_events;
    {
        const FullDisk full{30};
        of_csv = message_of(
            [&] {
                for (int step = 1; step < 9; ++step) csv.on(step_of(step));
            },
            folder.path());
        of_events = message_of([&] { events.on(step_of(1)); }, folder.path());
    }
    CHECK(of_csv ==
          "zeropp: a/Train_Samples_train_loss.csv: File too large, expected to write a row of the "
          "metric");
    CHECK(of_events.starts_with("zeropp: a/events.out.tfevents."));
    CHECK(of_events.ends_with(": File too large, expected to write an event"));
}
