// SPDX-License-Identifier: Apache-2.0
/// \file zeropp-t5 train: settings without contradiction, inputs that are right, an output that can
/// be written; only then the ranks start.
#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>
#include <string>
#include <thread>

#include <zeropp/comm/environment.hpp>
#include <zeropp/core/error.hpp>
#include <zeropp/data/examples.hpp>
#include <zeropp/device/onednn.hpp>
#include <zeropp/io/dispatch.hpp>
#include <zeropp/optim/schedule.hpp>
#include <zeropp/zero/options.hpp>

#include "../optimizer_flags.hpp"
#include "model_directory.hpp"
#include "output.hpp"
#include "stop_signal.hpp"
#include "train_run.hpp"

namespace zp = zeropp;

namespace {

/// A flag that would change nothing is an error.
void require_used(const zp::Config& config, const TrainOptions& options) {
    require_optimizer_uses(config, options.momentum, options.optimizer_states);
    const auto is_used = [&](const char* path, zp::ConfigKey::Kind kind) {
        const zp::ConfigKey* const key =
            zp::find_config_key(path, config.optimizer.type.value_or("AdamW"));
        return key != nullptr && key->kind == kind;
    };
    if (!options.betas.empty() &&
        !is_used("optimizer.params.betas", zp::ConfigKey::Kind::two_numbers))
        refuse_unused("--betas", "", "it with AdamW, Adam, Lamb or Lion alone");
    if (options.eps && !is_used("optimizer.params.eps", zp::ConfigKey::Kind::number))
        refuse_unused("--eps", "", "it with AdamW, Adam, Lamb or Adagrad alone");
    if (options.loss_scale && !config.fp16.enabled.value_or(false))
        refuse_unused("--loss-scale", zp::detail::setting_text(*options.loss_scale),
                      "it with fp16 alone: --dtype fp16");
    if (options.lenient && !options.deepspeed)
        refuse_unused("--lenient", "", "it with --deepspeed alone");
    const bool scheduled = options.schedule.value_or("constant") != "constant" ||
                           options.warmup_steps.value_or(0) != 0;
    if (scheduled && zp::makes_its_rates(config))
        refuse_unused(options.schedule ? "--schedule" : "--warmup-steps", "",
                      "none: Adafactor without --lr makes its own rates");
}

/// The flags beside the file's settings. What neither gives: AdamW at 1e-3, batches of 8, stage 2
/// (without a file; with one, what DeepSpeed would do).
zp::Config settings(const TrainOptions& options) {
    zp::Config config;
    if (options.deepspeed) config = zp::read_config(*options.deepspeed);
    if (!options.lenient) zp::require_supported(config);
    const auto merge = [](auto& setting, const auto& flag, const char* name) {
        if (flag) zp::merge(setting, *flag, name);
    };
    merge(config.zero_optimization.stage, options.zero, "--zero");
    if (options.optimizer)
        zp::merge(config.optimizer.type, zp::optimizer_type(*options.optimizer), "--optimizer");
    merge(config.optimizer.lr, options.lr, "--lr");
    merge(config.optimizer.weight_decay, options.weight_decay, "--weight-decay");
    merge(config.optimizer.eps, options.eps, "--eps");
    if (options.betas.size() == 2)
        zp::merge(config.optimizer.betas, std::array{options.betas[0], options.betas[1]},
                  "--betas");
    merge(config.optimizer.momentum, options.momentum, "--momentum");
    merge(config.gradient_clipping, options.clip, "--clip");
    merge(config.fp16.loss_scale, options.loss_scale, "--loss-scale");
    merge(config.train_micro_batch_size_per_gpu, options.batch_size, "--batch-size");
    merge(config.gradient_accumulation_steps, options.accumulation, "--accumulation");
    merge(config.steps_per_print, options.steps_per_print, "--steps-per-print");
    merge(config.zeropp.optimizer_states, options.optimizer_states, "--optimizer-states");
    merge(config.zeropp.reduce, options.reduce, "--reduce");
    if (options.no_decay_on_norms)
        zp::merge(config.zeropp.no_decay_on_norms, true, "--no-decay-on-norms");
    if (options.recompute) zp::merge(config.zeropp.recompute, true, "--recompute");
    if (options.dtype && options.dtype != "auto") {
        const std::string flag = "--dtype " + *options.dtype;
        zp::merge(config.bf16, *options.dtype == "bf16", flag);
        zp::merge(config.fp16.enabled, *options.dtype == "fp16", flag);
    }
    const bool has_warmup = config.scheduler.type.value_or("").starts_with("Warmup");
    const bool fills_warmup =
        has_warmup && !config.scheduler.warmup_num_steps.given() && !options.schedule;
    zp::require(!config.scheduler.type.given() || fills_warmup ||
                    (!options.schedule && !options.warmup_steps),
                zp::Errc::config, config.scheduler.type.origin, " is ",
                config.scheduler.type.value_or(""), ", expected none beside ",
                options.schedule ? "--schedule" : "--warmup-steps", "; give one of the two");
    require_used(config, options);
    zp::fill_batch_size(config, 8, "the default batch size");
    if (!options.deepspeed && !config.zero_optimization.stage.given())
        config.zero_optimization.stage = {2, "the default stage"};
    return config;
}

/// Decides the precision where nobody did, and says why.
std::string decide_precision(zp::Config& config, const TrainOptions& options) {
    for (const auto* given : {&config.fp16.enabled, &config.bf16})
        if (given->value_or(false))
            return std::string{zp::name_of(zp::precision_of(config))} + " as " + given->origin +
                   " says";
    for (const auto* given : {&config.bf16, &config.fp16.enabled})
        if (given->given() && options.dtype != "auto") return "fp32 as " + given->origin + " says";
    if (options.dtype == "auto") {
        const bool native = zp::OneDnn{}.bf16_products_are_native();
        config.bf16 = {native, "--dtype auto"};
        return native ? "bf16, which this processor multiplies natively"
                      : "fp32, because this processor does not multiply bf16 natively";
    }
    config.bf16 = {false, "the default precision"};
    if (options.deepspeed)  // as in DeepSpeed
        return "fp32 as " + *options.deepspeed + " without a bf16 or fp16 block says";
    return "fp32; bf16 with --dtype bf16";
}

/// What "auto" of a schedule leaves to the program.
void decide_schedule(zp::Config& config, std::int64_t steps, std::optional<std::int64_t> warmup) {
    auto& scheduler = config.scheduler;
    const auto decide = [](auto& setting, std::int64_t value, const char* who) {
        if (setting.automatic && !setting.given()) setting = {value, who};
    };
    decide(scheduler.total_num_steps, steps, "--steps");
    if (warmup && scheduler.type.given())
        scheduler.warmup_num_steps = {*warmup, "--warmup-steps"};
    else
        decide(scheduler.warmup_num_steps, std::max<std::int64_t>(1, steps / 10),
               "a tenth of --steps");
}

ObserveOptions observed(const zp::Config& config) {
    ObserveOptions observe;
    observe.wall_clock_breakdown = config.wall_clock_breakdown.value_or(false);
    observe.memory_breakdown = config.memory_breakdown.value_or(false);
    observe.dump_state = config.dump_state.value_or(false);
    const auto monitor = [](const zp::Config::Monitor& given, auto& options) {
        options.enabled = given.enabled.value_or(false);
        options.output_path = given.output_path.value_or(options.output_path);
        options.job_name = given.job_name.value_or(options.job_name);
    };
    monitor(config.csv_monitor, observe.csv_monitor);
    monitor(config.tensorboard, observe.tensorboard);
    const auto& flops = config.flops_profiler;
    observe.flops_profiler = {.enabled = flops.enabled.value_or(false),
                              .profile_step = flops.profile_step.value_or(1),
                              .module_depth = flops.module_depth.value_or(-1),
                              .top_modules = flops.top_modules.value_or(1),
                              .detailed = flops.detailed.value_or(true),
                              .output_file = flops.output_file.value};
    const auto& comms = config.comms_logger;
    observe.comms_logger = {.enabled = comms.enabled.value_or(false),
                            .prof_all = comms.prof_all.value_or(true),
                            .prof_ops = comms.prof_ops,
                            .verbose = comms.verbose.value_or(false)};
    return observe;
}

/// Whether a schedule starts from the optimizer's rate.
bool depends_on_rate(const zp::AnySchedule& schedule) {
    for (std::int64_t step = 1; step <= 1'000'000; step *= 10)
        for (const std::int64_t each : {step, step + 1})
            if (schedule(each, {.lr = 1}).lr != schedule(each, {.lr = 2}).lr) return true;
    return false;
}

void require_texts(const zp::Seq2SeqDataset& texts, const std::string& file) {
    for (std::size_t i = 0; i < texts.size(); ++i)
        zp::require(texts[i].source.size() >= 2, zp::Errc::config, file, ": example ", i + 1,
                    " has an empty source, expected a text to corrupt");
}

/// Each text corrupted once and for all, so that every validation measures the same.
zp::Seq2SeqDataset corrupted(const zp::Seq2SeqDataset& texts, const zp::SpanCorruption& corruption,
                             std::uint64_t seed) {
    zp::Seq2SeqDataset result;
    std::vector<std::int32_t> source, target;
    for (std::size_t i = 0; i < texts.size(); ++i) {
        const auto tokens = texts[i].source;  // ends with </s>
        corruption(tokens.first(tokens.size() - 1), seed, 0, i, source, target);
        result.add(source, target);
    }
    return result;
}

void require_writable_monitors(const ObserveOptions& observe) {
    const auto check = [](const auto& monitor, const std::string& name) {
        if (monitor.enabled)
            require_writable_folder(std::filesystem::path{monitor.output_path} / monitor.job_name,
                                    name);
    };
    check(observe.csv_monitor, "csv_monitor");
    check(observe.tensorboard, "tensorboard");
    if (observe.flops_profiler.enabled && observe.flops_profiler.output_file)
        require_writable(*observe.flops_profiler.output_file, "flops_profiler.output_file", {});
}

/// Reads and checks everything that training needs.
TrainRun prepare(const TrainOptions& options, int ranks, bool speaks) {
    TrainRun run{.options = options, .config = settings(options), .ranks = ranks};
    if (speaks)
        for (const std::string& sentence : zp::unsupported_sentences(run.config))
            std::fprintf(stderr, "zeropp: warning: %s\n", sentence.c_str());
    run.observe = observed(run.config);
    run.precision = decide_precision(run.config, options);
    zp::require_consistent(run.config);
    run.sizes = zp::batch_sizes(run.config, ranks);
    require_writable_folder(options.output, "--output");
    if (options.log_jsonl)
        require_writable(*options.log_jsonl, "--log-jsonl",
                         {options.train, options.model, options.validation.value_or(""),
                          options.deepspeed.value_or("")});
    require_writable_monitors(run.observe);
    const zp::Tokenizer tokenizer = checked_tokenizer(options.model);
    const zp::Seq2SeqFormat format{
        .columns = {options.text.source_column,
                    run.corrupts() ? std::string{} : options.text.target_column},
        .source_prefix = options.text.source_prefix,
        .max_source_length = options.text.max_source_length,
        .max_target_length = options.text.max_target_length};
    const std::size_t threads = std::max(1u, std::thread::hardware_concurrency());
    run.train = zp::read_dataset(options.train, tokenizer, format, threads);
    if (options.validation)
        run.validation = zp::read_dataset(*options.validation, tokenizer, format, threads);
    run.max_target_length = options.text.max_target_length;
    run.train_hash = run.train.hash();
    run.validation_hash = run.validation.hash();
    if (run.corrupts()) {
        require_texts(run.train, options.train);
        if (options.validation) require_texts(run.validation, *options.validation);
        run.corruption.first_sentinel = tokenizer.extra_id(0);
        run.max_target_length =
            run.corruption.target_length(std::max<std::size_t>(2, format.max_source_length - 1));
        run.validation = corrupted(run.validation, run.corruption, options.seed);
    }
    run.steps_per_epoch = static_cast<std::int64_t>(run.sampler().steps_per_epoch());
    run.steps = options.steps.value_or(options.epochs.value_or(1) * run.steps_per_epoch);
    decide_schedule(run.config, run.steps, options.warmup_steps);
    if (options.lr && !depends_on_rate(run.schedule()))
        refuse_unused("--lr", zp::detail::setting_text(*options.lr),
                      "none: the rates are those of the file's scheduler alone");
    zp::require_policies(run.config, ranks, run.schedule());
    return run;
}

template <class Comm>
bool train(const TrainRun& run, Comm& comm) {
    zp::LoggedComm rank{comm};
    return zp::with_precision(run.config, [&](auto precision) {
        return train_rank<typename decltype(precision)::Element>(run, rank);
    });
}

/// The guide's line.
void announce(const zp::Environment& rank, const char* world) {
    std::printf("%s\n", zp::discovery_line(rank, world).c_str());
    std::fflush(stdout);
}

bool train_on_mpi(const TrainOptions& options) {
    bool stopped = false;
    zp::run_mpi_ranks([&](zp::MpiComm comm) {
        const zp::Environment rank{
            .rank = comm.rank(), .world_size = comm.size(), .local_rank = comm.local_rank()};
        zp::export_environment(rank);
        if (!options.quiet) announce(rank, "MPI");
        zp::require(options.ranks.value_or(comm.size()) == comm.size(), zp::Errc::config,
                    "command line: --ranks is ", options.ranks.value_or(0), ", expected ",
                    comm.size(), " as mpirun says; leave --ranks out with --comm mpi");
        const TrainRun run = prepare(options, comm.size(), comm.rank() == 0);
        stopped = train(run, comm);
    });
    return stopped;
}

bool train_on_threads(const TrainOptions& options) {
    const zp::Environment launched = zp::environment();
    zp::require(launched.world_size == 1, zp::Errc::config, "command line: ", launched.world_size,
                " processes were started (", launched.source,
                "), expected --comm mpi, or one process for thread ranks");
    TrainRun run = prepare(options, options.ranks.value_or(1), true);
    run.ranks_share_process = true;
    bool stopped = false;
    zp::export_environment({.world_size = run.ranks});
    if (!options.quiet)
        for (int rank = 0; rank < run.ranks; ++rank)
            announce({.rank = rank, .world_size = run.ranks, .local_rank = rank}, "thread");
    zp::run_ranks(run.ranks, [&](zp::ThreadComm comm) {
        const bool mine = train(run, comm);
        if (comm.rank() == 0) stopped = mine;
    });
    return stopped;
}

}  // namespace

/// Batches of like lengths: see SampleOrder.
constexpr std::size_t grouped_steps = 50;

zp::Sampler TrainRun::sampler() const {
    return {train.size(),
            {.micro = static_cast<std::size_t>(sizes.micro),
             .accumulation = static_cast<std::size_t>(sizes.accumulation),
             .ranks = static_cast<std::size_t>(ranks)},
            {.shuffle = !options.no_shuffle,
             .seed = options.seed,
             .grouped_steps = options.no_shuffle ? std::size_t{1} : grouped_steps},
            options.no_shuffle ? std::vector<std::uint32_t>{} : train.length_keys()};
}

std::unique_ptr<zp::Loader> TrainRun::loader(int rank) const {
    const auto me = static_cast<std::size_t>(rank);
    const auto count = static_cast<std::uint64_t>(steps * sizes.accumulation);
    if (corrupts())
        return std::make_unique<zp::Loader>(
            zp::SpanCorruptionBatches{train, sampler(), me, corruption, options.seed}, count);
    return std::make_unique<zp::Loader>(zp::Seq2SeqBatches{train, sampler(), me}, count);
}

zp::AnySchedule TrainRun::schedule() const {
    if (config.scheduler.type.given()) return zp::schedule_of(config);
    const std::int64_t warmup = options.warmup_steps.value_or(0);
    const std::string name = options.schedule.value_or("constant");
    if (name == "linear") return zp::WarmupLinear{.warmup = warmup, .total = steps};
    if (name == "cosine") return zp::WarmupCosine{.warmup = warmup, .total = steps};
    if (name == "polynomial") return zp::Polynomial{.warmup = warmup, .total = steps};
    if (name == "inverse_sqrt")
        return options.warmup_steps ? zp::InverseSquareRoot{.warmup = warmup, .rise = true}
                                    : zp::InverseSquareRoot{};
    return zp::Constant{.warmup = warmup};
}

zp::Fingerprint TrainRun::fingerprint() const {
    zp::Fingerprint fields;
    const auto add = [&](const char* name, const auto& value) {
        fields.add(name, zp::detail::setting_text(value));
    };
    add("precision", zp::name_of(zp::precision_of(config)));
    add("stage", config.zero_optimization.stage.value_or(0));
    for (const zp::ConfigEntry& key : config.keys) fields.add(key.path, key.value);
    add("--optimizer", config.optimizer.type.value_or("AdamW"));
    const auto add_if_any = [&](const char* name, const auto& value, const char* otherwise) {
        fields.add(name, value ? zp::detail::setting_text(*value) : otherwise);
    };
    add_if_any("--lr", config.optimizer.lr.value, "the optimizer's own");
    add_if_any("--weight-decay", config.optimizer.weight_decay.value, "the optimizer's own");
    add_if_any("--eps", config.optimizer.eps.value, "the optimizer's own");
    add_if_any("--betas", config.optimizer.betas.value, "the optimizer's own");
    add_if_any("--momentum", config.optimizer.momentum.value, "the optimizer's own");
    add("train_micro_batch_size_per_gpu", sizes.micro);
    add("gradient_accumulation_steps", sizes.accumulation);
    add("--steps", steps);
    add("--seed", options.seed);
    add("--no-shuffle", options.no_shuffle);
    add("--objective", options.objective);
    add("--source-column", options.text.source_column);
    add("--target-column", options.text.target_column);
    add("--source-prefix", options.text.source_prefix);
    add("--max-source-length", options.text.max_source_length);
    add("--max-target-length", options.text.max_target_length);
    add_if_any("--dropout", options.dropout, "the model's");
    add("--train's number of examples", train.size());
    add("--train's texts (their hash)", train_hash);
    add("--validation's number of examples", validation.size());
    add("--validation's texts (their hash)", validation_hash);
    return fields;
}

int run_train(const TrainOptions& options) {
    const StopSignal signals;
    const bool stopped = options.comm == "mpi" ? train_on_mpi(options) : train_on_threads(options);
    return stopped ? 130 : 0;
}
