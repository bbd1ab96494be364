// SPDX-License-Identifier: Apache-2.0
/// \file zeropp-t5 init: new weights, and a tokenizer made from text.
#include <cstdio>
#include <filesystem>
#include <string>

#include <zeropp/core/error.hpp>
#include <zeropp/data/train_tokenizer.hpp>
#include <zeropp/format/json.hpp>
#include <zeropp/format/t5_config.hpp>
#include <zeropp/format/t5_presets.hpp>
#include <zeropp/io/pretrained.hpp>
#include <zeropp/model/t5.hpp>

#include "options.hpp"
#include "output.hpp"

namespace zp = zeropp;
namespace fs = std::filesystem;

namespace {

/// T5 rounds its vocabulary to whole multiples of this: 32,100 tokens, 32,128 embeddings.
constexpr std::size_t vocabulary_step = 128;

/// A file that says its vocab_size keeps it; else the number of tokens decides.
zp::T5Config configuration(const std::string& name, std::size_t tokens) {
    const std::size_t rounded = (tokens + vocabulary_step - 1) / vocabulary_step * vocabulary_step;
    const bool is_file = name.ends_with(".json") || fs::exists(name);
    zp::T5Config config = is_file ? zp::read_t5_config(name) : zp::t5_preset(name);
    if (!is_file || !zp::read_json(name).contains("vocab_size")) config.vocab_size = rounded;
    zp::require(tokens <= config.vocab_size, zp::Errc::config, name, ": vocab_size is ",
                config.vocab_size, ", expected at least ", tokens, ": --vocab-size and ",
                zp::Tokenizer::extra_ids, " extra ids");
    return config;
}

}  // namespace

int run_init(const InitOptions& options) {
    require_writable_folder(options.output, "--output");
    const zp::T5Config config = configuration(
        options.config, static_cast<std::size_t>(options.vocab_size + zp::Tokenizer::extra_ids));
    const auto model = zp::T5<float>::with_random_weights(config, 0);
    const std::size_t parameters = zp::parameter_count(model.units());
    require_space(options.output, "--output", parameters * sizeof(float));
    const zp::Tokenizer tokenizer =
        zp::train_tokenizer(options.tokenizer_text, {.vocab_size = options.vocab_size});
    zp::save_pretrained(model, options.output, tokenizer.files());
    std::printf("%s: %.1f million parameters, %zu embeddings for %d tokens\n",
                options.output.c_str(), static_cast<double>(parameters) * 1e-6,
                model.config().vocab_size, tokenizer.size());
    return 0;
}
