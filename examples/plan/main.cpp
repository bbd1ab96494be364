// SPDX-License-Identifier: Apache-2.0
/// \file zeropp-plan: what a training will take and send, before it is started; no weight is read.
#include <cstdint>
#include <filesystem>
#include <iostream>
#include <optional>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include <zeropp/comm/mpi.hpp>
#include <zeropp/core/byte_size.hpp>
#include <zeropp/format/file.hpp>
#include <zeropp/format/t5_config.hpp>
#include <zeropp/format/t5_presets.hpp>
#include <zeropp/io/config_file.hpp>
#include <zeropp/io/dispatch.hpp>
#include <zeropp/io/plan_picture.hpp>
#include <zeropp/io/plan_report.hpp>
#include <zeropp/io/training_plan.hpp>
#include <zeropp/model/t5_activations.hpp>
#include <zeropp/model/t5_layout.hpp>
#include <zeropp/zero/policies.hpp>

#include "../command_line.hpp"
#include "../optimizer_flags.hpp"

namespace zp = zeropp;

namespace {

struct Options {
    std::string model, communicator = "thread";
    std::size_t world = 0, nodes = 1, source_length = 512, target_length = 128;
    std::optional<std::int64_t> micro_batch, accumulation;
    std::optional<std::string> optimizer, optimizer_states, reduce, deepspeed, svg, device_memory;
    std::optional<double> momentum, dropout;
    std::vector<std::string> freeze;  ///< patterns of parameters' names
    bool json = false, lenient = false;
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
        ->check(within(0.0, 0.999));
    app.add_option("--accumulation", options.accumulation, "micro-steps a step (1)")
        ->check(within<std::int64_t>(1, 1'000'000));
    app.add_option("--reduce", options.reduce,
                   "when gradients are reduced: every_micro_step, once_a_step or by_stage "
                   "(by_stage)")
        ->check(one_of({"by_stage", "every_micro_step", "once_a_step"}));
    app.add_option("--freeze", options.freeze,
                   "parameters that are not trained, by name, * for any characters, such as "
                   "'encoder.*'; may be given several times")
        ->check(a_text())
        ->allow_extra_args(false);
    app.add_option("--device-memory,--devices-memory", options.device_memory,
                   "of a rank, such as 16GiB: what micro-batch fits")
        ->check(a_byte_size());
    app.add_option("--optimizer", options.optimizer,
                   "AdamW, Adam, Lamb, Lion, Adagrad, SGD or Adafactor (AdamW)");
    app.add_option("--momentum", options.momentum, "of SGD (0)")->check(within(0.0, 0.999999));
    app.add_option("--optimizer-states", options.optimizer_states,
                   "how moments are kept: fp32, bf16 or 8bit (fp32)")
        ->check(one_of({"fp32", "bf16", "8bit"}));
    app.add_option("--comm", options.communicator, "thread or mpi")
        ->check(one_of({"thread", "mpi"}));
    app.add_option("--deepspeed", options.deepspeed,
                   "a ds_config.json: batch, accumulation, bucket size, optimizer")
        ->check(a_path());
    app.add_flag("--lenient", options.lenient,
                 "warn of what the file asks for in vain, instead of refusing it");
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

/// The file's settings and the flags', without contradiction.
zp::Config settings(const Options& options) {
    zp::Config config;
    if (options.deepspeed) config = zp::read_config(*options.deepspeed);
    if (options.lenient && !options.deepspeed)
        refuse_unused("--lenient", "", "it with --deepspeed alone");
    if (!options.lenient) zp::require_supported(config);
    for (const std::string& sentence : zp::unsupported_sentences(config))
        std::cerr << "zeropp: warning: " << sentence << '\n';
    const auto merge = [](auto& setting, const auto& flag, const char* name) {
        if (flag) zp::merge(setting, *flag, name);
    };
    merge(config.train_micro_batch_size_per_gpu, options.micro_batch, "--micro-batch");
    merge(config.gradient_accumulation_steps, options.accumulation, "--accumulation");
    if (options.optimizer)
        zp::merge(config.optimizer.type, zp::optimizer_type(*options.optimizer), "--optimizer");
    merge(config.optimizer.momentum, options.momentum, "--momentum");
    merge(config.zeropp.optimizer_states, options.optimizer_states, "--optimizer-states");
    merge(config.zeropp.reduce, options.reduce, "--reduce");
    require_optimizer_uses(config, options.momentum, options.optimizer_states);
    zp::fill_batch_size(config, 8, "zeropp-plan");
    return config;
}

zp::PlanReport plan(const Options& options) {
    zp::require(options.world % options.nodes == 0, zp::Errc::config, "--world is ", options.world,
                ", expected a multiple of the ", options.nodes, " of --nodes");
    const zp::T5Config model = t5_config(options.model);
    const zp::Config config = settings(options);
    const int ranks = static_cast<int>(options.world);
    const zp::BatchSizes sizes = zp::batch_sizes(config, ranks);
    zp::require_policies(config, ranks);

    zp::PlanReport report;
    report.model = model_name(options.model);
    report.communicator = options.communicator;
    report.optimizer = config.optimizer.type.value_or("AdamW");
    report.source_length = options.source_length;
    report.target_length = options.target_length;

    zp::PlanRequest& request = report.request;
    zp::PlanSetup& setup = request.setup;
    setup.units = zp::T5Layout{model, options.freeze}.units();
    setup.ranks = options.world;
    setup.optimizer = zp::optimizer_of(config);
    zp::with_policies(config, ranks, zp::Constant{}, [&](const auto&... policies) {
        setup.options = zp::detail::options_from(policies...);
    });
    if (options.communicator == "mpi") setup.workspace = zp::MpiComm::workspace_bytes;
    request.precisions = zp::t5_precisions();
    request.micro_batch = static_cast<std::size_t>(sizes.micro);
    if (options.device_memory) request.device_memory = *zp::parse_byte_size(*options.device_memory);
    request.recomputes = true;
    zp::T5Options limits{.max_source_length = options.source_length,
                         .max_target_length = options.target_length,
                         .frozen = options.freeze};
    if (options.dropout) limits.dropout = static_cast<float>(*options.dropout);
    request.activations = [=](zp::DType precision, std::size_t micro_batch, bool recompute) {
        zp::T5Options of = limits;
        of.micro_batch = micro_batch;
        return zp::t5_activation_bytes(model, of, precision, recompute);
    };
    report.deepspeed =
        zp::deepspeed_model(setup.units, options.world / options.nodes, options.nodes);
    if (options.deepspeed)
        report.choice = {
            zp::with_stage(config, [](auto stage) { return stage.number; }),
            zp::with_precision(config, []<class E>(zp::Precision<E>) { return zp::dtype_of<E>; }),
            std::filesystem::path{*options.deepspeed}.filename().string(),
            zp::recompute_of(config)};
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
    std::cout << (options.json ? zp::json_document(zp::plan_json(report)) : zp::plan_text(report))
              << std::flush;
    zp::require(std::cout.good(), zp::Errc::io,
                "standard output: cannot be written, expected a reader with room");
    return 0;
} catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return 1;
}
