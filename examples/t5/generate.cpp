// SPDX-License-Identifier: Apache-2.0
/// \file zeropp-t5 generate: a greedy prediction for each source of a file.
#include <string>
#include <vector>

#include <zeropp/format/file.hpp>
#include <zeropp/observe/json_line.hpp>

#include "model_directory.hpp"
#include "output.hpp"
#include "predict.hpp"

namespace zp = zeropp;

int run_generate(const GenerateOptions& options) {
    require_writable(options.output, "--output", {options.data, options.model});
    const zp::Tokenizer tokenizer = checked_tokenizer(options.model);
    zp::Seq2SeqFormat format = format_of(options.text);
    format.columns.target.clear();
    const zp::Seq2SeqDataset data = zp::read_dataset(options.data, tokenizer, format, cores());
    const auto predictions =
        make_predictor(options.model, options.dtype, options.text, options.batch, data)
            ->generate(options.max_new_tokens);
    std::string lines;
    for (const std::vector<std::int32_t>& tokens : predictions)
        lines += zp::JsonLine{}
                     .field("prediction", tokenizer.decode(tokens))
                     .field("token_ids", tokens)
                     .text() +
                 "\n";
    zp::NewFile file{followed(options.output)};
    file.write(lines);
    file.sync();
    file.publish();
    return 0;
}
