// SPDX-License-Identifier: Apache-2.0
/// \file ROUGE-1, ROUGE-2 and ROUGE-L as Google's rouge_score computes them, without stemming.
/// Lin, "ROUGE: a package for automatic evaluation of summaries", ACL workshop 2004.
#pragma once

#include <algorithm>
#include <cstddef>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <zeropp/core/error.hpp>

namespace zeropp {

/// F1, in [0, 1].
struct Rouge {
    double rouge1 = 0, rouge2 = 0, rouge_l = 0;
};

/// Lower-case runs of [a-z0-9]. Two characters outside ASCII have an ASCII letter in lower case:
/// the Kelvin sign (k), and the dotted I (i, and a dot that ends the word).
inline std::vector<std::string> rouge_tokens(std::string_view text) {
    constexpr std::string_view kelvin = "\u212A", dotted_i = "\u0130";
    std::vector<std::string> tokens;
    std::string word;
    const auto end_word = [&] {
        if (!word.empty()) tokens.push_back(std::move(word));
        word.clear();
    };
    while (!text.empty()) {
        std::size_t length = 1;
        char letter = text.front();
        if (letter >= 'A' && letter <= 'Z') letter = static_cast<char>(letter - 'A' + 'a');
        if (text.starts_with(kelvin)) {
            letter = 'k';
            length = kelvin.size();
        } else if (text.starts_with(dotted_i)) {
            letter = 'i';
            length = dotted_i.size();
        }
        if ((letter >= 'a' && letter <= 'z') || (letter >= '0' && letter <= '9'))
            word += letter;
        else
            end_word();
        if (text.starts_with(dotted_i)) end_word();
        text.remove_prefix(length);
    }
    end_word();
    return tokens;
}

namespace detail {

/// From matches, and how many there could be in the prediction and in the reference.
inline double f_measure(std::size_t matches, std::size_t predicted, std::size_t wanted) {
    if (matches == 0) return 0;
    const double precision = static_cast<double>(matches) / static_cast<double>(predicted);
    const double recall = static_cast<double>(matches) / static_cast<double>(wanted);
    return 2 * precision * recall / (precision + recall);
}

inline double rouge_n(std::span<const std::string> predicted, std::span<const std::string> wanted,
                      std::size_t n) {
    if (predicted.size() < n || wanted.size() < n) return 0;
    std::map<std::vector<std::string_view>, std::size_t> left;
    const auto gram = [n](std::span<const std::string> tokens, std::size_t at) {
        return std::vector<std::string_view>(tokens.begin() + std::ptrdiff_t(at),
                                             tokens.begin() + std::ptrdiff_t(at + n));
    };
    for (std::size_t i = 0; i + n <= wanted.size(); ++i) ++left[gram(wanted, i)];
    std::size_t matches = 0;
    for (std::size_t i = 0; i + n <= predicted.size(); ++i) {
        const auto found = left.find(gram(predicted, i));
        if (found == left.end() || found->second == 0) continue;
        --found->second;
        ++matches;
    }
    return f_measure(matches, predicted.size() - n + 1, wanted.size() - n + 1);
}

inline double rouge_l(std::span<const std::string> predicted, std::span<const std::string> wanted) {
    // longest[j]: of the common subsequences of the prediction so far and wanted[0, j).
    std::vector<std::size_t> longest(wanted.size() + 1, 0);
    for (const std::string& token : predicted) {
        std::size_t diagonal = 0;
        for (std::size_t j = 0; j < wanted.size(); ++j) {
            const std::size_t above = longest[j + 1];
            longest[j + 1] = token == wanted[j] ? diagonal + 1 : std::max(above, longest[j]);
            diagonal = above;
        }
    }
    return f_measure(longest.back(), predicted.size(), wanted.size());
}

}  // namespace detail

inline Rouge rouge(std::string_view prediction, std::string_view reference) {
    const std::vector<std::string> predicted = rouge_tokens(prediction);
    const std::vector<std::string> wanted = rouge_tokens(reference);
    return {detail::rouge_n(predicted, wanted, 1), detail::rouge_n(predicted, wanted, 2),
            detail::rouge_l(predicted, wanted)};
}

/// The mean over the pairs.
inline Rouge rouge(std::span<const std::string> predictions,
                   std::span<const std::string> references) {
    require(predictions.size() == references.size() && !references.empty(), Errc::shape,
            "rouge: ", predictions.size(), " predictions of ", references.size(),
            " references, expected one of each of at least one");
    Rouge sum;
    for (std::size_t i = 0; i < references.size(); ++i) {
        const Rouge one = rouge(predictions[i], references[i]);
        sum.rouge1 += one.rouge1;
        sum.rouge2 += one.rouge2;
        sum.rouge_l += one.rouge_l;
    }
    const auto count = static_cast<double>(references.size());
    return {sum.rouge1 / count, sum.rouge2 / count, sum.rouge_l / count};
}

/// The trivial summary that a model has to beat.
inline std::string first_words(std::string_view text, std::size_t count = 10) {
    constexpr std::string_view blanks = " \t\r\n\f\v";
    std::string words;
    for (; count > 0; --count) {
        text.remove_prefix(std::min(text.find_first_not_of(blanks), text.size()));
        const std::string_view word = text.substr(0, text.find_first_of(blanks));
        if (word.empty()) break;
        if (!words.empty()) words += ' ';
        words += word;
        text.remove_prefix(word.size());
    }
    return words;
}

}  // namespace zeropp
