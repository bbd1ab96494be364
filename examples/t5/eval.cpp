// SPDX-License-Identifier: Apache-2.0
/// \file zeropp-t5 eval: the loss over a file, and ROUGE of greedy predictions.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <string>
#include <vector>

#include <zeropp/data/rouge.hpp>
#include <zeropp/format/file.hpp>
#include <zeropp/observe/json_line.hpp>

#include "model_directory.hpp"
#include "output.hpp"
#include "predict.hpp"

namespace zp = zeropp;

namespace {

constexpr std::size_t shown = 10;

struct Result {
    zp::Loss loss;
    std::vector<std::string> predictions;
};

/// As printf has it.
template <class... Values>
std::string formatted(const char* format, Values... values) {
    std::string text(static_cast<std::size_t>(std::snprintf(nullptr, 0, format, values...)), '\0');
    std::snprintf(text.data(), text.size() + 1, format, values...);
    return text;
}

std::string shown_examples(const std::vector<zp::TextExample>& examples, const Result& result) {
    std::string text;
    for (std::size_t i = 0; i < std::min(shown, examples.size()); ++i)
        text += "source:     " + examples[i].source + "\nreference:  " + examples[i].target +
                "\nprediction: " + result.predictions[i] + "\n\n";
    return text;
}
std::string scores(const char* name, const zp::Rouge& rouge) {
    return formatted("%-28s ROUGE-1 %.1f  ROUGE-2 %.1f  ROUGE-L %.1f\n", name, 100 * rouge.rouge1,
                     100 * rouge.rouge2, 100 * rouge.rouge_l);
}

}  // namespace

int run_eval(const EvalOptions& options) {
    if (options.json) require_writable(*options.json, "--json", {options.data, options.model});
    const zp::Tokenizer tokenizer = checked_tokenizer(options.model);
    const std::vector<zp::TextExample> examples =
        zp::read_examples(options.data, format_of(options.text).columns);
    const zp::Seq2SeqDataset data =
        zp::tokenize(examples, tokenizer, format_of(options.text), cores());
    const auto predictor =
        make_predictor(options.model, options.dtype, options.text, options.batch, data);
    Result result{.loss = predictor->loss(), .predictions = {}};
    zp::require(std::isfinite(result.loss.mean()), zp::Errc::numeric, options.model,
                ": its loss over ", options.data, " is ", result.loss.mean(),
                ", expected a finite one");
    if (options.rouge)
        for (const auto& tokens : predictor->generate(options.text.max_target_length))
            result.predictions.push_back(tokenizer.decode(tokens));

    zp::JsonLine line;
    line.field("loss", result.loss.mean())
        .field("tokens", result.loss.tokens)
        .field("examples", examples.size());
    zp::Rouge model, trivial;
    if (options.rouge) {
        std::vector<std::string> references, first;
        for (const zp::TextExample& example : examples) {
            references.push_back(example.target);
            first.push_back(zp::first_words(example.source));
        }
        model = zp::rouge(result.predictions, references);
        trivial = zp::rouge(first, references);
        line.field("rouge1", model.rouge1)
            .field("rouge2", model.rouge2)
            .field("rougeL", model.rouge_l)
            .field("first_words_rouge1", trivial.rouge1)
            .field("first_words_rouge2", trivial.rouge2)
            .field("first_words_rougeL", trivial.rouge_l);
    }
    if (!options.json) {
        print(line.text() + "\n");
        return 0;
    }
    zp::NewFile file{followed(*options.json)};
    file.write(line.text() + "\n");
    file.sync();
    file.publish();
    if (options.rouge)
        print(shown_examples(examples, result) + scores("the model", model) +
              scores("the source's first ten words", trivial));
    print(formatted("loss %.4f over %lld tokens of %zu examples\n", result.loss.mean(),
                    static_cast<long long>(result.loss.tokens), examples.size()));
    return 0;
}
