// SPDX-License-Identifier: Apache-2.0
/// \file What a key that is none may have been meant for.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <tuple>

#include <zeropp/core/name_pattern.hpp>
#include <zeropp/io/schema.hpp>

namespace zeropp {
namespace detail {

/// Whether each word of the key begins one of `known` (or, if `whole`, is one), in order: grad_clip
/// and gradient_clipping, train_micro_batch_size and train_micro_batch_size_per_gpu.
inline bool abbreviates(std::string_view key, std::string_view known, bool whole) {
    const auto next_word = [](std::string_view& text) {
        const std::size_t end = std::min(text.find('_'), text.size());
        const std::string_view word = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
        return word;
    };
    constexpr std::size_t telling = 4;  // letters
    if (key.size() < telling) return false;
    while (!key.empty()) {
        const std::string_view word = next_word(key);
        bool found = false;
        while (!found && !known.empty()) {
            const std::string_view other = next_word(known);
            found = whole ? other == word : other.starts_with(word);
        }
        if (!found || word.empty()) return false;
    }
    return true;
}
/// lr of learning_rate.
inline bool has_initials(std::string_view key, std::string_view known) {
    std::string initials;
    for (std::size_t i = 0; i < key.size(); ++i)
        if (i == 0 || key[i - 1] == '_') initials += key[i];
    return initials.size() >= 2 && initials == known;
}

}  // namespace detail

/// "zero_optimization.stage" of zero_optimization.stgae or of stage: the nearest key, by its path.
/// Where none is near, it says so; where only another type has the key, which.
inline std::string nearest_config_key(std::string_view path, std::string_view type = {}) {
    std::string key{detail::last_of(path)}, other_types;
    for (char& c : key) c = detail::lower_case(c);
    const std::string_view block = detail::block_of(path);
    std::tuple best{std::size_t{1000}, true, std::size_t{0}};
    std::string nearest, alike_elsewhere;
    const auto try_key = [&](std::string_view its_block, std::string_view known) {
        const bool here = its_block == block;
        const std::size_t edits = edits_to_match(known, key);
        const bool alike =
            detail::abbreviates(key, known, false) || detail::has_initials(key, known);
        const std::size_t least = !here                                   ? edits
                                  : detail::abbreviates(key, known, true) ? 0
                                  : alike ? std::min<std::size_t>(1, edits)
                                          : edits;
        const std::tuple distance{least, !here, edits};
        const std::string path_of_known =
            (its_block.empty() ? "" : std::string{its_block} + ".") + std::string{known};
        if (!here && alike_elsewhere.empty() &&
            (detail::abbreviates(key, known, true) || detail::has_initials(key, known)))
            alike_elsewhere = path_of_known;
        // Elsewhere only what is meant beyond doubt.
        if ((!here && edits > 1) || distance >= best) return;
        best = distance;
        nearest = path_of_known;
    };
    for_each_config_key([&](const ConfigKey& row) {
        const std::string_view its_block = detail::block_of(row.path),
                               known = detail::last_of(row.path);
        if (known == "*") {
            detail::for_each_word(row.choices,
                                  [&](std::string_view name) { try_key(its_block, name); });
            return;
        }
        const bool is_of_type = row.of.empty() || !detail::word_in(row.of, type).empty();
        if (is_of_type || its_block != block)
            try_key(its_block, known);
        else if (known == key)
            other_types += (other_types.empty() ? "" : ", ") + detail::listed(row.of);
    });
    const std::size_t near = key.size() / 3;
    if (std::get<0>(best) <= near && !std::get<1>(best)) return nearest;
    if (!other_types.empty()) return "it only of type " + other_types;
    if (std::get<0>(best) <= std::max<std::size_t>(near, 1) && key.size() > 1) return nearest;
    if (!alike_elsewhere.empty()) return alike_elsewhere;
    return "a known one, the nearest is " + nearest + "; docs/deepspeed.md has them all";
}

}  // namespace zeropp
