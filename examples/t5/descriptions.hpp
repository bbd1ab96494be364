// SPDX-License-Identifier: Apache-2.0
/// \file From apt's Packages and Translation-en files to pairs of description and synopsis.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <zeropp/core/fingerprint.hpp>

/// The text of one or several binary packages of one source package.
struct Description {
    std::string text, synopsis, source_package;
};

/// What becomes of the texts. No source package has texts in both sets, and no description of
/// `validation` is in `train`, so that a model cannot know the answers.
struct DescriptionSets {
    std::vector<Description> train, validation;
    std::size_t texts = 0;            ///< different texts in the Translation-en file
    std::size_t repeated = 0;         ///< left out: the same words as another
    std::size_t without_package = 0;  ///< left out: no package has this text
    std::size_t leaking = 0;          ///< left out of validation: the description is in train too
};

/// Calls `each(paragraph)` for every paragraph of a Debian control file.
template <class Each>
void for_each_paragraph(std::string_view file, Each each) {
    while (!file.empty()) {
        const std::size_t stop = file.find("\n\n");
        const std::string_view paragraph = file.substr(0, stop);
        if (paragraph.find_first_not_of('\n') != paragraph.npos) each(paragraph);
        file.remove_prefix(stop == file.npos ? file.size() : stop + 2);
    }
}

/// The value of a field with its continuation lines; empty if there is none.
inline std::string_view field(std::string_view paragraph, std::string_view name) {
    for (std::size_t line = 0; line < paragraph.size();) {
        std::size_t stop = paragraph.find('\n', line);
        while (stop + 1 < paragraph.size() && stop != paragraph.npos && paragraph[stop + 1] == ' ')
            stop = paragraph.find('\n', stop + 1);
        std::string_view text = paragraph.substr(line, stop - line);
        if (text.starts_with(name) && text.substr(name.size()).starts_with(':')) {
            text.remove_prefix(name.size() + 1);
            while (text.starts_with(' ')) text.remove_prefix(1);
            return text;
        }
        if (stop == paragraph.npos) break;
        line = stop + 1;
    }
    return {};
}

/// One line of words with one blank between them. A line of a single `.` parts two paragraphs of a
/// long description, which is a blank here: SentencePiece reads a line break as one anyway.
inline std::string one_line(std::string_view text) {
    std::string words;
    while (!text.empty()) {
        const std::size_t stop = text.find('\n');
        std::string_view line = text.substr(0, stop);
        text.remove_prefix(stop == text.npos ? text.size() : stop + 1);
        if (line == " .") continue;
        for (std::size_t at; (at = line.find_first_not_of(" \t\r")) != line.npos;) {
            line.remove_prefix(at);
            const std::string_view word = line.substr(0, line.find_first_of(" \t\r"));
            if (!words.empty()) words += ' ';
            words += word;
            line.remove_prefix(word.size());
        }
    }
    return words;
}

/// Whether a source package's texts are for validation: one of 37, by its name.
inline bool is_for_validation(std::string_view source_package) {
    const std::uint64_t hash = zeropp::hash_of(source_package);
    return (hash ^ hash >> 32) % 37 == 0;
}

/// Joins by Description-md5 and splits by source package. The order is that of the checksums, which
/// is as good as a shuffled one: the first lines of either set are a sample of it.
inline DescriptionSets split_descriptions(std::string_view packages,
                                          std::string_view translations) {
    // The alphabetically first of several source packages with the same text, whatever the order.
    std::map<std::string_view, std::string_view> source_of;
    for_each_paragraph(packages, [&](std::string_view paragraph) {
        const std::string_view checksum = field(paragraph, "Description-md5");
        std::string_view source = field(paragraph, "Source");
        if (source.empty()) source = field(paragraph, "Package");
        source = source.substr(0, source.find(' '));  // "glibc (2.36-9)"
        const auto [entry, added] = source_of.emplace(checksum, source);
        if (!added && source < entry->second) entry->second = source;
    });
    std::map<std::string_view, std::string_view> text_of;
    for_each_paragraph(translations, [&](std::string_view paragraph) {
        const std::string_view checksum = field(paragraph, "Description-md5");
        const std::string_view text = field(paragraph, "Description-en");
        if (!checksum.empty() && text.find('\n') != text.npos) text_of.emplace(checksum, text);
    });

    DescriptionSets sets;
    sets.texts = text_of.size();
    std::set<std::pair<std::string, std::string>> seen;
    std::set<std::string> in_train;
    for (const auto& [checksum, text] : text_of) {
        const auto source = source_of.find(checksum);
        if (source == source_of.end()) {
            ++sets.without_package;
            continue;
        }
        const std::size_t line_end = text.find('\n');
        Description one{one_line(text.substr(line_end + 1)), one_line(text.substr(0, line_end)),
                        std::string{source->second}};
        if (one.text.empty() || one.synopsis.empty() ||
            !seen.emplace(one.text, one.synopsis).second) {
            ++sets.repeated;
            continue;
        }
        const bool validates = is_for_validation(one.source_package);
        if (!validates) in_train.insert(one.text);
        (validates ? sets.validation : sets.train).push_back(std::move(one));
    }
    sets.leaking = std::erase_if(
        sets.validation, [&](const Description& one) { return in_train.contains(one.text); });
    return sets;
}
