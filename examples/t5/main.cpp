// SPDX-License-Identifier: Apache-2.0
/// \file zeropp-t5: makes, trains, evaluates and runs T5 models in Hugging Face's directories.
/// Exit status: 0 done, 1 an error, 2 a command line that cannot be understood, 130 training was
/// stopped by a signal and the model so far is saved.
#include <csignal>
#include <cstdio>
#include <exception>
#include <limits>
#include <new>
#include <string>

#include <CLI/CLI.hpp>

#include <zeropp/comm/environment.hpp>
#include <zeropp/core/error.hpp>

#include "../command_line.hpp"
#include "options.hpp"

namespace {

const auto a_length = within<std::int64_t>(1, 65'536);
const auto a_batch = within<std::int64_t>(1, 1'000'000);
const auto a_rate = within<double>(0, 1e6);

void add_text(CLI::App& command, TextOptions& text) {
    command.add_option("--source-column", text.source_column, "key of the text to read")
        ->type_name("TEXT")
        ->check(a_text())
        ->capture_default_str();
    command.add_option("--target-column", text.target_column, "key of the text to write")
        ->type_name("TEXT")
        ->check(a_text())
        ->capture_default_str();
    command.add_option("--source-prefix", text.source_prefix, "put before each source, as it is")
        ->type_name("TEXT")
        ->check(a_text());
    command.add_option("--max-source-length", text.max_source_length, "in tokens, with </s>")
        ->type_name("N")
        ->check(a_length)
        ->capture_default_str();
    command.add_option("--max-target-length", text.max_target_length, "in tokens, with </s>")
        ->type_name("N")
        ->check(a_length)
        ->capture_default_str();
}
/// What eval and generate have in common.
template <class Options>
void add_prediction(CLI::App& command, Options& options) {
    command.add_option("--model", options.model, "directory of the model")
        ->type_name("DIR")
        ->check(a_path())
        ->required();
    command.add_option("--data", options.data, "JSONL file, an example a line")
        ->type_name("FILE")
        ->check(a_path())
        ->required();
    add_text(command, options.text);
    command.add_option("--batch", options.batch, "examples at once")
        ->type_name("N")
        ->check(a_batch)
        ->capture_default_str();
    command.add_option("--dtype", options.dtype, "fp32, bf16 or fp16")
        ->type_name("NAME")
        ->check(one_of({"fp32", "bf16", "fp16"}))
        ->capture_default_str();
}

void add_init(CLI::App& app, InitOptions& options) {
    CLI::App& command = *app.add_subcommand("init", "make new weights and a tokenizer");
    command.add_option("--config", options.config, "t5-small, t5-base ..., or a config.json")
        ->type_name("FILE")
        ->check(a_path())
        ->required();
    command
        .add_option("--tokenizer-text", options.tokenizer_text, "a text file, a sentence a line")
        ->type_name("FILE")
        ->check(a_path())
        ->required();
    command.add_option("--vocab-size", options.vocab_size, "pieces, without the extra ids")
        ->type_name("N")
        ->required()
        ->check(within(8, 1'000'000));
    command.add_option("--output", options.output, "directory to write")
        ->type_name("PATH")
        ->check(a_path())
        ->required();
}

void add_train(CLI::App& app, TrainOptions& options) {
    CLI::App& command = *app.add_subcommand("train", "train a model on examples");
    command.add_option("--model", options.model, "directory of the model to start from")
        ->type_name("DIR")
        ->check(a_path())
        ->required();
    command.add_option("--train", options.train, "JSONL file, an example a line")
        ->type_name("FILE")
        ->check(a_path())
        ->required();
    command.add_option("--validation", options.validation, "JSONL file to measure the loss on")
        ->type_name("FILE")
        ->check(a_path());
    command.add_option("--output", options.output, "directory to write the model to")
        ->type_name("PATH")
        ->check(a_path())
        ->required();
    command.add_option("--deepspeed", options.deepspeed, "a ds_config.json")
        ->type_name("FILE")
        ->check(a_path());
    command.add_option("--zero", options.zero, "ZeRO stage [2, or as the ds_config.json says]")
        ->type_name("N")
        ->check(within<std::int64_t>(0, 3));
    command
        .add_option(
            "--dtype", options.dtype,
            "fp32, bf16, fp16 with a scaled loss, or auto: bf16 where this CPU multiplies it "
            "natively, else fp32 [fp32, or as the ds_config.json says]")
        ->type_name("NAME")
        ->check(one_of({"fp32", "bf16", "fp16", "auto"}));
    command.add_flag("--lenient", options.lenient,
                     "warn of what the ds_config.json asks for in vain, instead of refusing it");
    command
        .add_option("--optimizer", options.optimizer,
                    "AdamW, Adam, Lamb, Lion, Adagrad, SGD or Adafactor [AdamW]")
        ->type_name("NAME")
        ->check(a_text());
    command
        .add_option("--optimizer-states", options.optimizer_states,
                    "how moments are kept: fp32, bf16 or 8bit [fp32]")
        ->type_name("NAME")
        ->check(one_of({"fp32", "bf16", "8bit"}));
    command.add_option("--betas", options.betas, "of the moments [0.9 0.999]")
        ->type_name("X X")
        ->expected(2)
        ->check(within(0.0, 0.999999));
    command.add_option("--eps", options.eps, "added to the denominator [the optimizer's own]")
        ->type_name("X")
        ->check(within(0.0, 1.0));
    command.add_option("--momentum", options.momentum, "of SGD [0]")
        ->type_name("X")
        ->check(within(0.0, 0.999999));
    command.add_option("--clip", options.clip, "greatest norm of the gradients; 0: any [1]")
        ->type_name("X")
        ->check(a_rate);
    command.add_option("--loss-scale", options.loss_scale, "of fp16, fixed; 0: dynamic [dynamic]")
        ->type_name("X")
        ->check(within<double>(0, 3e38));
    command.add_option("--lr", options.lr, "learning rate [1e-3]")->type_name("X")->check(a_rate);
    command.add_option("--weight-decay", options.weight_decay, "of the optimizer [0]")
        ->type_name("X")
        ->check(a_rate);
    command.add_flag("--recompute", options.recompute,
                     "compute blocks again in backward: less memory, the same bits");
    command.add_flag("--no-decay-on-norms", options.no_decay_on_norms,
                     "no weight decay on norms and biases");
    command
        .add_option("--schedule", options.schedule,
                    "constant; linear or cosine to 0; inverse_sqrt; polynomial [constant]")
        ->type_name("NAME")
        ->check(one_of({"constant", "linear", "cosine", "inverse_sqrt", "polynomial"}));
    command.add_option("--warmup-steps", options.warmup_steps, "from 0 to the learning rate [0]")
        ->type_name("N")
        ->check(within<std::int64_t>(0, 1'000'000'000));
    auto* steps = command.add_option("--steps", options.steps, "optimizer steps")
                      ->type_name("N")
                      ->check(within<std::int64_t>(1, 1'000'000'000));
    command.add_option("--epochs", options.epochs, "times through the training file [1]")
        ->type_name("N")
        ->check(within<std::int64_t>(1, 1'000'000))
        ->excludes(steps);
    command.add_option("--batch-size", options.batch_size, "examples a micro-step and rank [8]")
        ->type_name("N")
        ->check(a_batch);
    command.add_option("--accumulation", options.accumulation, "micro-steps a step [1]")
        ->type_name("N")
        ->check(a_batch);
    command
        .add_option("--reduce", options.reduce,
                    "when gradients are reduced: every_micro_step, once_a_step, or by_stage: once "
                    "at 0 and 1, every at 2 and 3 [by_stage]")
        ->type_name("NAME")
        ->check(one_of({"by_stage", "every_micro_step", "once_a_step"}));
    command.add_option("--objective", options.objective, "seq2seq or span-corruption")
        ->type_name("NAME")
        ->check(one_of({"seq2seq", "span-corruption"}))
        ->capture_default_str();
    add_text(command, options.text);
    command.add_option("--dropout", options.dropout, "[the model's dropout_rate]")
        ->type_name("X")
        ->check(within(0.0, 0.999));
    command
        .add_option("--freeze", options.freeze,
                    "parameters that stay as they are, by name, * for any characters, such as "
                    "'encoder.*'; may be given several times")
        ->type_name("PATTERN")
        ->check(a_text())
        ->allow_extra_args(false);
    command.add_flag("--no-shuffle", options.no_shuffle, "examples in the order of the file");
    command.add_option("--seed", options.seed, "of the order and of dropout")
        ->check(within<std::int64_t>(0, std::numeric_limits<std::int64_t>::max()))
        ->type_name("N")
        ->capture_default_str();
    command.add_option("--ranks", options.ranks, "thread ranks [1]")
        ->type_name("N")
        ->check(within(1, 1024));
    command.add_option("--comm", options.comm, "thread, or mpi under mpirun")
        ->type_name("NAME")
        ->check(one_of({"thread", "mpi"}))
        ->capture_default_str();
    command.add_option("--log-jsonl", options.log_jsonl, "file for a JSON line a step")
        ->type_name("FILE")
        ->check(a_path());
    command
        .add_option("--steps-per-print", options.steps_per_print,
                    "steps between two lines of progress [a line every two seconds]")
        ->type_name("N")
        ->check(within<std::int64_t>(1, 1'000'000'000));
    command.add_flag("--quiet", options.quiet, "no progress");
}

void add_eval(CLI::App& app, EvalOptions& options) {
    CLI::App& command = *app.add_subcommand("eval", "measure a model's loss, and ROUGE if asked");
    add_prediction(command, options);
    command.add_flag("--rouge", options.rouge, "generate too, and compare with the targets");
    command.add_option("--json", options.json, "file to write the result to")
        ->type_name("FILE")
        ->check(a_path());
}

void add_generate(CLI::App& app, GenerateOptions& options) {
    CLI::App& command = *app.add_subcommand("generate", "write a prediction for each source");
    add_prediction(command, options);
    command.add_option("--output", options.output, "JSONL file to write, a prediction a line")
        ->type_name("PATH")
        ->check(a_path())
        ->required();
    command.add_option("--max-new-tokens", options.max_new_tokens, "longest prediction")
        ->type_name("N")
        ->check(a_length)
        ->capture_default_str();
}

void require_one_process() {
    const zeropp::Environment launched = zeropp::environment();
    zeropp::require(launched.world_size == 1, zeropp::Errc::config,
                    "command line: ", launched.world_size, " processes were started (",
                    launched.source, "), expected one: only train runs on several");
}

}  // namespace

int main(int argc, char** argv) {
    InitOptions init;
    TrainOptions train;
    EvalOptions eval;
    GenerateOptions generate;
    CLI::App app{"zeropp-t5: T5 models in Hugging Face's directories, trained with ZeRO",
                 "zeropp-t5"};
    app.require_subcommand(1);
    add_init(app, init);
    add_train(app, train);
    add_eval(app, eval);
    add_generate(app, generate);
    if (argc > 1 && argv[1][0] != '-' &&
        app.get_subcommands([&](const CLI::App* command) { return command->check_name(argv[1]); })
            .empty()) {
        std::fprintf(
            stderr, "zeropp: command line: '%s' is given, expected init, train, eval or generate\n",
            argv[1]);
        return 2;
    }
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return refused(app, error);
    }
    std::signal(SIGPIPE, SIG_IGN);  // a reader that goes is an error where it is written to
    try {
        if (!app.got_subcommand("train")) require_one_process();
        if (app.got_subcommand("init")) return run_init(init);
        if (app.got_subcommand("train")) return run_train(train);
        if (app.got_subcommand("eval")) return run_eval(eval);
        return run_generate(generate);
    } catch (const std::bad_alloc&) {
        std::fprintf(stderr,
                     "zeropp: memory: no more can be had, expected enough for the data and "
                     "the model; use a smaller batch, shorter texts or more ranks\n");
        return 1;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 1;
    }
}
