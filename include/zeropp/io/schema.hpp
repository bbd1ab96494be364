// SPDX-License-Identifier: Apache-2.0
/// \file The table of DeepSpeed's configuration keys, whole, and how to find a key in it.
#pragma once

#include <algorithm>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <zeropp/io/schema/features.hpp>
#include <zeropp/io/schema/key.hpp>
#include <zeropp/io/schema/training.hpp>
#include <zeropp/io/schema/zero.hpp>

namespace zeropp {

/// Calls visit(const ConfigKey&) for every row, in the table's order.
template <class Visit>
void for_each_config_key(Visit visit) {
    for (const ConfigKey& key : schema::training) visit(key);
    for (const ConfigKey& key : schema::zero_optimization) visit(key);
    for (const ConfigKey& key : schema::features) visit(key);
}

namespace detail {

constexpr char lower(char c) { return 'A' <= c && c <= 'Z' ? static_cast<char>(c + 32) : c; }

inline bool same_word(std::string_view a, std::string_view b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                      [](char x, char y) { return lower(x) == lower(y); });
}
/// Calls visit(word) for what stands between the bars.
template <class Visit>
void for_each_word(std::string_view words, Visit visit) {
    while (!words.empty()) {
        const std::size_t bar = std::min(words.find('|'), words.size());
        visit(words.substr(0, bar));
        words.remove_prefix(std::min(bar + 1, words.size()));
    }
}
/// The word as `words` spell it; empty if it is none of them.
inline std::string_view word_in(std::string_view words, std::string_view word) {
    std::string_view found;
    for_each_word(words, [&](std::string_view each) {
        if (same_word(each, word)) found = each;
    });
    return found;
}

/// Levenshtein's distance, letters in any case.
inline std::size_t edit_distance(std::string_view a, std::string_view b) {
    std::vector<std::size_t> row(b.size() + 1);
    for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
    for (std::size_t i = 1; i <= a.size(); ++i) {
        std::size_t diagonal = row[0];
        row[0] = i;
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const std::size_t above = row[j];
            const std::size_t changed = diagonal + (lower(a[i - 1]) == lower(b[j - 1]) ? 0 : 1);
            row[j] = std::min({above + 1, row[j - 1] + 1, changed});
            diagonal = above;
        }
    }
    return row[b.size()];
}

/// "a.b" of "a.b.c"; empty of "a".
inline std::string_view block_of(std::string_view path) {
    const std::size_t dot = path.rfind('.');
    return dot == std::string_view::npos ? std::string_view{} : path.substr(0, dot);
}
/// "c" of "a.b.c".
inline std::string_view last_of(std::string_view path) {
    const std::size_t dot = path.rfind('.');
    return dot == std::string_view::npos ? path : path.substr(dot + 1);
}

/// Blocks in which DeepSpeed itself takes "auto" for the default of any key.
constexpr bool takes_auto(std::string_view path) {
    for (const std::string_view block :
         {"zero_optimization.", "fp16.", "bf16.", "bfloat16.", "tensorboard.", "csv_monitor.",
          "wandb.", "comet.", "comms_logger.", "hybrid_engine.", "compile.", "tensor_parallel.",
          "timers.throughput."})
        if (path.starts_with(block)) return true;
    return false;
}

}  // namespace detail

/// Whether the key may be "auto": DeepSpeed takes its default, or a program fills it in.
constexpr bool may_be_auto(const ConfigKey& key) {
    return key.automatic || detail::takes_auto(key.path);
}

/// The row of a path; `type` is that of the optimizer or scheduler it belongs to. Null: there is
/// none.
inline const ConfigKey* find_config_key(std::string_view path, std::string_view type = {}) {
    const ConfigKey* found = nullptr;
    const std::string any = std::string{detail::block_of(path)} + ".*";
    for_each_config_key([&](const ConfigKey& key) {
        const bool mine = key.of.empty() || !detail::word_in(key.of, type).empty();
        if (mine && (key.path == path || (key.path == any && found == nullptr))) found = &key;
    });
    return found;
}

/// "expected reduce_bucket_size": the nearest keys of the block; all of them if none is near. Of a
/// key that another block or type has, where it belongs.
inline std::string nearest_config_keys(std::string_view path, std::string_view type = {}) {
    const std::string_view block = detail::block_of(path), key = detail::last_of(path);
    std::string all, elsewhere, near;
    std::size_t best = key.size() / 3 + 1;
    for_each_config_key([&](const ConfigKey& row) {
        const std::string_view its_block = detail::block_of(row.path);
        const std::string_view its_key = detail::last_of(row.path);
        const bool mine = row.of.empty() || !detail::word_in(row.of, type).empty();
        if (its_block == block && mine) {
            if (its_key == "*") return;
            all += (all.empty() ? "" : ", ") + std::string{its_key};
            const std::size_t distance = detail::edit_distance(key, its_key);
            if (distance < best) {
                best = distance;
                near = std::string{its_key};
            }
        } else if (its_key == key && elsewhere.empty()) {
            elsewhere = its_block == block  ? "it only of type " + std::string{row.of}
                        : its_block.empty() ? "it at the top level"
                                            : "it in " + std::string{its_block};
            std::replace(elsewhere.begin(), elsewhere.end(), '|', ',');
        }
    });
    if (!near.empty()) return near;
    if (!elsewhere.empty()) return elsewhere;
    return block.empty() ? "a key of DeepSpeed's; docs/deepspeed.md has them" : "one of " + all;
}

}  // namespace zeropp
