// SPDX-License-Identifier: Apache-2.0
/// \file What the command line of zeropp-t5 can say, a structure a subcommand.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

/// What is read of a JSONL file, and how long it may be in tokens.
struct TextOptions {
    std::string source_column = "article", target_column = "highlights", source_prefix;
    std::size_t max_source_length = 512, max_target_length = 128;
};

struct InitOptions {
    std::string config;  ///< "t5-small" ... or a file
    std::string tokenizer_text, output;
    int vocab_size = 0;  ///< pieces of the tokenizer, without the extra ids
};

struct TrainOptions {
    std::string model, train, output;
    std::optional<std::string> validation, deepspeed, log_jsonl;
    std::optional<std::string> dtype;  ///< "fp32", "bf16", "fp16" or "auto"
    std::optional<std::string> optimizer, schedule;
    std::optional<std::string> optimizer_states;  ///< "fp32", "bf16" or "8bit"
    std::optional<std::string> reduce;  ///< "by_stage", "every_micro_step" or "once_a_step"
    std::optional<std::int64_t> zero, steps, epochs, batch_size, accumulation, steps_per_print;
    std::optional<double> lr, weight_decay, eps, momentum, clip, loss_scale, dropout;
    std::vector<double> betas;  ///< two, or none
    std::optional<std::int64_t> warmup_steps;
    std::optional<int> ranks;
    std::string objective = "seq2seq", comm = "thread";
    TextOptions text;
    std::uint64_t seed = 42;
    std::vector<std::string> freeze;  ///< patterns of parameters' names
    bool no_shuffle = false, quiet = false, lenient = false;
    bool no_decay_on_norms = false, recompute = false;
};

struct EvalOptions {
    std::string model, data, dtype = "fp32";
    std::optional<std::string> json;
    TextOptions text;
    std::size_t batch = 16;
    bool rouge = false;
};

struct GenerateOptions {
    std::string model, data, output, dtype = "fp32";
    TextOptions text;
    std::size_t batch = 16, max_new_tokens = 128;
};

/// Each does the work of its subcommand and returns the program's exit status. Errors are thrown.
int run_init(const InitOptions& options);
int run_train(const TrainOptions& options);
int run_eval(const EvalOptions& options);
int run_generate(const GenerateOptions& options);
