// SPDX-License-Identifier: Apache-2.0
/// \file The table of DeepSpeed's configuration keys, whole, and how to find a key in it.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>

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

constexpr char lower_case(char c) { return 'A' <= c && c <= 'Z' ? static_cast<char>(c + 32) : c; }
inline bool same_word(std::string_view a, std::string_view b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                      [](char x, char y) { return lower_case(x) == lower_case(y); });
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

/// "a, b" of "a|b".
inline std::string listed(std::string_view words) {
    std::string all;
    for_each_word(words, [&](std::string_view word) {
        all += (all.empty() ? "" : ", ") + std::string{word};
    });
    return all;
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
        const bool other =
            key.path == any && found == nullptr &&
            (key.choices.empty() ||
             detail::word_in(key.choices, detail::last_of(path)) == detail::last_of(path));
        if (mine && (key.path == path || other)) found = &key;
    });
    return found;
}

}  // namespace zeropp
