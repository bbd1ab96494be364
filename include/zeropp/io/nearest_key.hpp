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

/// Whether each word of the key begins one of `known`, in order: grad_clip and gradient_clipping,
/// train_micro_batch_size and train_micro_batch_size_per_gpu.
inline bool abbreviates(std::string_view key, std::string_view known) {
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
        while (!found && !known.empty()) found = next_word(known).starts_with(word);
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
    std::string_view nearest;
    for_each_config_key([&](const ConfigKey& row) {
        const std::string_view known = detail::last_of(row.path);
        if (known == "*") return;
        const bool here = detail::block_of(row.path) == block;
        if (!row.of.empty() && here && detail::word_in(row.of, type).empty()) {
            if (known == key)
                other_types += (other_types.empty() ? "" : ", ") + detail::listed(row.of);
            return;
        }
        const std::size_t edits = edits_to_match(known, key);
        const bool alike = detail::abbreviates(key, known) || detail::has_initials(key, known);
        const std::tuple distance{alike ? std::min<std::size_t>(1, edits) : edits, !here, edits};
        // Elsewhere only what is meant beyond doubt.
        if (!here && std::get<0>(distance) > 1) return;
        if (distance < best) {
            best = distance;
            nearest = row.path;
        }
    });
    const std::size_t near = key.size() / 3;
    if (std::get<0>(best) <= near && !std::get<1>(best)) return std::string{nearest};
    if (!other_types.empty()) return "it only of type " + other_types;
    if (std::get<0>(best) <= std::max<std::size_t>(near, 1) && key.size() > 1)
        return std::string{nearest};
    return "a known one, the nearest is " + std::string{nearest} +
           "; docs/deepspeed.md has them all";
}

}  // namespace zeropp
