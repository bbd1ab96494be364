// SPDX-License-Identifier: Apache-2.0
/// \file Whether a value is one of a key of the configuration, and what becomes of the key.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <string_view>

#include <zeropp/core/json.hpp>
#include <zeropp/io/config_entry.hpp>
#include <zeropp/io/schema.hpp>
#include <zeropp/io/settings.hpp>

namespace zeropp {

namespace detail {

/// As much of a value or a path as a sentence holds.
inline std::string cut(const std::string& text, std::size_t most = 60) {
    return text.size() <= most ? text : text.substr(0, most) + "...";
}
inline std::string json_text(const Json& value) {
    return value.dump(-1, ' ', true, Json::error_handler_t::replace);
}
inline bool is_auto(const Json& value) {
    return value.is_string() && value.get_ref<const std::string&>() == "auto";
}

/// `"a", "b" or "c"` of "a|b|c".
inline std::string one_of(std::string_view words) {
    std::string all;
    std::size_t left = 0;
    for_each_word(words, [&](std::string_view) { ++left; });
    for_each_word(words, [&](std::string_view word) {
        --left;
        all += '"' + std::string{word} + (left > 1 ? "\", " : left == 1 ? "\" or " : "\"");
    });
    return all;
}
/// What a sentence offers of a key's choices.
inline std::string choices_of(const ConfigKey& row) {
    return one_of(row.path == "optimizer.type" ? schema::optimizers : row.choices);
}

inline std::string number_expected(const ConfigKey& row, const Json& value) {
    const std::string what =
        row.kind == ConfigKey::Kind::two_numbers ? "two numbers " : "a number ";
    const std::string range =
        row.most == schema::below_one && row.least == 0 ? what + "in [0, 1)"
        : row.most == schema::below_zero ? what + "in [" + setting_text(row.least) + ", 0)"
        : std::isinf(row.most)
            ? what + "from " + setting_text(row.least)
            : what + "from " + setting_text(row.least) + " to " + setting_text(row.most);
    if (!value.is_number()) return range;
    const double wide = value.get<double>();
    const auto narrow = static_cast<float>(wide);
    const bool rounds_to_one = row.most == schema::below_one && narrow >= 1;
    if (!(row.least <= wide && wide <= row.most) || rounds_to_one) return range;
    if (!std::isfinite(narrow) || (narrow == 0) != (wide == 0)) return "what fits a 32-bit float";
    return {};
}
inline std::string whole_text(double value) {
    return std::to_string(static_cast<std::int64_t>(value));
}
inline std::string whole_expected(const ConfigKey& row, const Json& value) {
    const double wide = value.is_number() ? value.get<double>() : row.least;
    const bool fits = wide == std::floor(wide) && row.least <= wide && wide <= row.most;
    if (value.is_number() && fits) return {};
    return row.most < schema::largest_whole || wide > row.most
               ? whole_text(row.least) + " to " + whole_text(row.most)
               : "an integer from " + whole_text(row.least);
}
inline std::string words_expected(const ConfigKey& row, const Json& value) {
    const bool holds =
        value.is_array() && std::all_of(value.begin(), value.end(), [&](const Json& each) {
            return each.is_string() && word_in(row.choices, each.get_ref<const std::string&>()) ==
                                           each.get_ref<const std::string&>();
        });
    if (holds) return {};
    return "a list of some of " + listed(row.choices);
}

/// What a value of the key would be, as sentences say it; empty if it is one.
inline std::string expected_value(const ConfigKey& row, const Json& value) {
    using Kind = ConfigKey::Kind;
    switch (row.kind) {
        case Kind::flag:
            return value.is_boolean() ? "" : "true or false";
        case Kind::whole:
            return whole_expected(row, value);
        case Kind::number:
            return number_expected(row, value);
        case Kind::two_numbers:
            if (!value.is_array() || value.size() != 2) return number_expected(row, Json{});
            for (const Json& each : value)
                if (std::string expected = number_expected(row, each); !expected.empty())
                    return expected;
            return {};
        case Kind::wholes: {
            const bool holds =
                value.is_array() && !value.empty() && value.size() <= 64 &&
                std::all_of(value.begin(), value.end(), [&](const Json& each) {
                    return each.is_number_integer() && whole_expected(row, each).empty();
                });
            return holds ? ""
                         : "a list of 1 to 64 integers from " + whole_text(row.least) + " to " +
                               whole_text(row.most);
        }
        case Kind::text:
            return value.is_string() ? "" : "a text";
        case Kind::choice:
            return value.is_string() &&
                           !word_in(row.choices, value.get_ref<const std::string&>()).empty()
                       ? ""
                       : choices_of(row);
        case Kind::words:
            return words_expected(row, value);
        case Kind::block:
        case Kind::any:
            break;
    }
    return {};
}

/// Of an optimizer that DeepSpeed has and zeropp has not.
inline std::string_view why_no_optimizer(std::string_view type) {
    return same_word(type, "Muon")
               ? "Muon orthogonalises whole matrices, which shards of equal size cut"
           : !word_in("OneBitAdam|ZeroOneAdam|OneBitLamb", type).empty()
               ? "gradients travel in the model's type, not in one bit"
               : "rates scaled by width are the model's parametrisation";
}

inline ConfigEntry judged(const std::string& path, const ConfigKey& row, const Json& value) {
    ConfigEntry entry{path,     json_text(value),
                      row.fate, std::string{row.note},
                      {},       may_be_auto(row) && is_auto(value)};
    if (path == "optimizer.type" && value.is_string())
        if (const auto& type = value.get_ref<const std::string&>();
            word_in(schema::optimizers, type).empty()) {
            entry.fate = Fate::unsupported;
            entry.expected = choices_of(row);
            entry.note = why_no_optimizer(type);
        }
    if (row.fate == Fate::unsupported) {
        for_each_word(row.off, [&](std::string_view off) {
            entry.expected += (entry.expected.empty() ? "" : " or ") + std::string{off};
            const bool is_off = row.kind == ConfigKey::Kind::choice && value.is_string()
                                    ? same_word(value.dump(), off)
                                    : value == Json::parse(off, nullptr, false);
            if (is_off) entry.fate = Fate::harmless;
        });
        if (value.is_null() || entry.automatic) entry.fate = Fate::harmless;
        if (entry.expected.empty()) entry.expected = "it left out";
        if (entry.fate == Fate::harmless) entry.note = "left off";
    }
    if (value.is_null() && entry.fate == Fate::honoured) {
        entry.fate = Fate::harmless;
        entry.note = "as if it were left out";
    }
    return entry;
}

}  // namespace detail
}  // namespace zeropp
