// SPDX-License-Identifier: Apache-2.0
/// \file A model directory is looked through before anything is made of it.
#pragma once

#include <filesystem>
#include <string>

#include <zeropp/core/error.hpp>
#include <zeropp/data/tokenizer.hpp>
#include <zeropp/format/t5_config.hpp>
#include <zeropp/model/t5_weights.hpp>

/// The tokenizer of a directory whose configuration and weights fit each other and the tokenizer.
inline zeropp::Tokenizer checked_tokenizer(const std::string& directory) {
    std::error_code error;
    zeropp::require(std::filesystem::is_directory(directory, error), zeropp::Errc::io, directory,
                    ": there is no such directory, expected a model's");
    zeropp::T5Config config =
        zeropp::read_t5_config(std::filesystem::path{directory} / "config.json");
    const zeropp::T5StoredWeights weights{directory, config};
    zeropp::Tokenizer tokenizer{directory};
    const std::size_t rows = config.vocab_size;
    zeropp::require(static_cast<std::size_t>(tokenizer.size()) <= rows, zeropp::Errc::config,
                    directory, ": the tokenizer has ", tokenizer.size(),
                    " tokens, expected at most the ", rows, " of the embedding");
    return tokenizer;
}
