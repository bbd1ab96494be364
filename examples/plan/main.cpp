// SPDX-License-Identifier: Apache-2.0
/// \file zeropp-plan: what a training will take and send, before it is started; no weight is read.
#include <cstdint>
#include <filesystem>
#include <iostream>
#include <optional>
#include <string>

#include <CLI/CLI.hpp>

#include <zeropp/comm/mpi.hpp>
#include <zeropp/core/byte_size.hpp>
#include <zeropp/format/file.hpp>
#include <zeropp/format/t5_config.hpp>
#include <zeropp/format/t5_presets.hpp>
#include <zeropp/io/config.hpp>
#include <zeropp/io/dispatch.hpp>
#include <zeropp/io/plan_picture.hpp>
#include <zeropp/io/plan_report.hpp>
#include <zeropp/io/training_plan.hpp>
#include <zeropp/model/t5_activations.hpp>
#include <zeropp/model/t5_layout.hpp>

#include "../command_line.hpp"

namespace zp = zeropp;

namespace {

struct Options {
    std::string model, communicator = "thread";
    std::size_t world = 0, nodes = 1, source_length = 512, target_length = 128;
    std::optional<std::int64_t> micro_batch, accumulation;
    std::optional<std::string> optimizer, optimizer_states, deepspeed, svg, device_memory;
    std::optional<float> dropout;
    bool json = false;
};

CLI::Validator a_byte_size() {
    return {[](std::string& text) {
                return zp::parse_byte_size(text) ? std::string{}
                                                 : "'" + text + "' is given, expected " +
                                                       std::string{zp::byte_size_expected};
            },
            ""};
}

void add_options(CLI::App& app, Options& options) {
    app.add_option("--model", options.model,
                   "t5-small ... t5-11b, t5-v1_1-*, flan-t5-*, a config.json or its directory")
        ->required()
        ->check(a_path());
    app.add_option("--world", options.world, "ranks")
        ->required()
        ->check(within<std::size_t>(1, 1 << 20));
    app.add_option("--nodes", options.nodes, "computers that the ranks are on (1)")
        ->check(within<std::size_t>(1, 1 << 20));
    app.add_option("--micro-batch", options.micro_batch, "examples a micro-step of a rank (8)")
        ->check(within<std::int64_t>(1, 1 << 14));
    app.add_option("--source-length", options.source_length, "tokens (512)")
        ->check(within<std::size_t>(1, 1 << 16));
    app.add_option("--target-length", options.target_length, "tokens (128)")
        ->check(within<std::size_t>(1, 1 << 16));
    app.add_option("--dropout", options.dropout, "instead of the model's")
        ->check(within(0.0f, 0.99f));
    app.add_option("--accumulation", options.accumulation, "micro-steps a step (1)")
        ->check(within<std::int64_t>(1, 1'000'000));
    app.add_option("--device-memory", options.device_memory,
                   "of a rank, such as 16GiB: what micro-batch fits")
        ->check(a_byte_size());
    app.add_option("--optimizer", options.optimizer,
                   "AdamW, Adam, Lamb, Lion, Adagrad, SGD or Adafactor (AdamW)");
    app.add_option("--optimizer-states", options.optimizer_states,
                   "how moments are kept: fp32, bf16 or 8bit (fp32)")
        ->check(one_of({"fp32", "bf16", "8bit"}));
    app.add_option("--comm", options.communicator, "thread or mpi")
        ->check(one_of({"thread", "mpi"}));
    app.add_option("--deepspeed", options.deepspeed,
                   "a ds_config.json: batch, accumulation, bucket size, optimizer")
        ->check(a_path());
    app.add_option("--svg", options.svg, "writes a picture")->check(a_path());
    app.add_flag("--json", options.json, "one object on standard output");
}

zp::T5Config t5_config(const std::string& model) {
    std::error_code error;
    const std::filesystem::path path{model};
    if (std::filesystem::is_directory(path, error)) return zp::read_t5_config(path / "config.json");
    if (std::filesystem::exists(path, error)) return zp::read_t5_config(path);
    return zp::t5_preset(model);
}
/// Of a path its last component.
std::string model_name(const std::string& model) {
    std::filesystem::path path{model};
    if (!path.has_filename()) path = path.parent_path();
    return path.filename().string();
}

zp::PlanReport plan(const Options& options) {
    zp::require(options.world % options.nodes == 0, zp::Errc::config, "--world is ", options.world,
                ", expected a multiple of the ", options.nodes, " of --nodes");
    const zp::T5Config model = t5_config(options.model);

    zp::Config file;
    if (options.deepspeed) file = zp::read_config(*options.deepspeed);
    zp::require_supported(file);
    if (options.micro_batch)
        zp::merge(file.train_micro_batch_size_per_gpu, *options.micro_batch, "--micro-batch");
    if (options.accumulation)
        zp::merge(file.gradient_accumulation_steps, *options.accumulation, "--accumulation");
    if (options.optimizer)
        zp::merge(file.optimizer.type, zp::optimizer_type(*options.optimizer), "--optimizer");
    if (options.optimizer_states)
        zp::merge(file.zeropp.optimizer_states, *options.optimizer_states, "--optimizer-states");
    if (!file.elasticity.enabled.value_or(false) && !file.train_batch_size.given() &&
        !file.train_micro_batch_size_per_gpu.given())
        file.train_micro_batch_size_per_gpu = {8, "zeropp-plan"};
    const zp::BatchSizes sizes = zp::batch_sizes(file, static_cast<int>(options.world));

    zp::PlanReport report;
    report.model = model_name(options.model);
    report.communicator = options.communicator;
    report.optimizer = file.optimizer.type.value_or("AdamW");
    report.source_length = options.source_length;
    report.target_length = options.target_length;

    zp::PlanRequest& request = report.request;
    zp::PlanSetup& setup = request.setup;
    setup.units = zp::T5Layout{model}.units();
    setup.ranks = options.world;
    setup.optimizer = zp::optimizer_of(file);
    setup.options.get<zp::OptimizerStates>() = zp::optimizer_states_of(file);
    setup.options.get<zp::Gradients>() = zp::gradients_of(file);
    setup.options.get<zp::Accumulation>().steps = static_cast<int>(sizes.accumulation);
    setup.options.get<zp::Buckets>() = zp::buckets_of(file);
    if (options.communicator == "mpi") setup.workspace = zp::MpiComm::workspace_bytes;
    request.precisions = zp::t5_precisions();
    request.micro_batch = static_cast<std::size_t>(sizes.micro);
    if (options.device_memory) request.device_memory = *zp::parse_byte_size(*options.device_memory);
    request.recomputes = true;
    request.activations = [=](zp::DType precision, std::size_t micro_batch, bool recompute) {
        return zp::t5_activation_bytes(model,
                                       zp::T5Options{.micro_batch = micro_batch,
                                                     .max_source_length = options.source_length,
                                                     .max_target_length = options.target_length,
                                                     .dropout = options.dropout},
                                       precision, recompute);
    };
    report.deepspeed =
        zp::deepspeed_model(setup.units, options.world / options.nodes, options.nodes);
    if (options.deepspeed)
        report.choice = {
            zp::with_stage(file, [](auto stage) { return stage.number; }),
            zp::with_precision(file, []<class E>(zp::Precision<E>) { return zp::dtype_of<E>; }),
            std::filesystem::path{*options.deepspeed}.filename().string(), zp::recompute_of(file)};
    report.runs = zp::plan_runs(request);
    zp::require_one_fits(request, report.runs);
    return report;
}

}  // namespace

int main(int argc, char** argv) try {
    CLI::App app{"What a training will take and send on each rank, before it is started.",
                 "zeropp-plan"};
    Options options;
    add_options(app, options);
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return refused(app, error);
    }
    const zp::PlanReport report = plan(options);
    if (options.svg) {
        zp::NewFile file{*options.svg};
        file.write(zp::plan_svg(report));
        file.publish();
    }
    std::cout << (options.json ? zp::plan_json(report).dump(2) + "\n" : zp::plan_text(report))
              << std::flush;
    zp::require(std::cout.good(), zp::Errc::io,
                "standard output: cannot be written, expected a reader with room");
    return 0;
} catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return 1;
}
