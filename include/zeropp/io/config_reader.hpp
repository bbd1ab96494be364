// SPDX-License-Identifier: Apache-2.0
/// \file A file of configuration against the table of keys: what is no key, or no value of one, is
/// refused by path.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <zeropp/core/error.hpp>
#include <zeropp/core/json.hpp>
#include <zeropp/io/schema.hpp>
#include <zeropp/io/settings.hpp>

namespace zeropp {

/// A key of the file and what becomes of it.
struct ConfigEntry {
    std::string path, value;  ///< the value as JSON, in ASCII
    Fate fate = Fate::honoured;
    std::string note, expected;  ///< `expected`: what would be supported
    bool automatic = false;      ///< the value is "auto"
};

namespace detail {

/// As much of a value or a path as a sentence holds.
inline std::string cut(const std::string& text, std::size_t most = 60) {
    return text.size() <= most ? text : text.substr(0, most) + "...";
}

class ConfigReader {
public:
    /// Checks all keys and values; `entries` gets them in the file's order of names.
    ConfigReader(Json file, std::string name, std::vector<ConfigEntry>& entries)
        : file_(std::move(file)), name_{std::move(name)}, entries_{entries} {
        if (!file_.is_object())
            fail(Errc::config, name_, ": the file is ", shown(file_), ", expected an object");
        mend_older_forms();
        for (const char* block : {"optimizer", "scheduler"})
            if (const Json* found = at(block); found != nullptr && found->is_object()) {
                const auto type = found->find("type");
                if (type == found->end() || type->is_null())
                    fail(Errc::config, name_, ": ", block, ".type is missing, expected ",
                         one_of(*find_config_key(std::string{block} + ".type")));
                const std::string path = std::string{block} + ".type";
                check(path, *find_config_key(path), *type);
                (*block == 'o' ? optimizer_ : scheduler_) = type->get<std::string>();
            }
        walk(file_, "");
    }

    template <class T>
    void take(std::string_view path, Setting<T>& setting) const {
        const Json* const value = at(path);
        if (value == nullptr || value->is_null()) return;
        const ConfigKey* const key = find_config_key(path, type_of(path));
        if (key == nullptr || key->kind == ConfigKey::Kind::any) return;  // was not checked
        if (may_be_auto(*key) && is_auto(*value)) {
            setting.automatic = true;
            setting.origin = origin(path);
            return;
        }
        if constexpr (std::is_same_v<T, std::int64_t>)
            setting = {static_cast<std::int64_t>(value->get<double>()), origin(path)};
        else if constexpr (std::is_same_v<T, std::string>) {
            const auto text = value->get<std::string>();
            const bool is_choice = key->kind == ConfigKey::Kind::choice;
            setting = {is_choice ? std::string{word_in(key->choices, text)} : text, origin(path)};
        } else
            setting = {value->get<T>(), origin(path)};
    }
    void take(std::string_view path, std::vector<std::int64_t>& list) const {
        const Json* const value = at(path);
        if (value == nullptr) return;
        const bool holds = value->is_array() && !value->empty() && value->size() <= 64 &&
                           std::all_of(value->begin(), value->end(), [](const Json& each) {
                               return each.is_number_integer() && each.get<double>() >= 1 &&
                                      each.get<double>() <= 1e6;
                           });
        if (!holds)
            fail(Errc::config, origin(path), " is ", shown(*value),
                 ", expected a list of 1 to 64 integers from 1 to 1000000");
        list = value->get<std::vector<std::int64_t>>();
    }
    void take(std::string_view path, std::vector<std::string>& list) const {
        const Json* const value = at(path);
        if (value == nullptr || is_auto(*value)) return;
        const bool holds =
            value->is_array() && std::all_of(value->begin(), value->end(),
                                             [](const Json& each) { return each.is_string(); });
        if (!holds)
            fail(Errc::config, origin(path), " is ", shown(*value),
                 ", expected a list of names of operations");
        list = value->get<std::vector<std::string>>();
    }

private:
    static bool is_auto(const Json& value) {
        return value.is_string() && value.get_ref<const std::string&>() == "auto";
    }
    static std::string text_of(const Json& value) {
        return value.dump(-1, ' ', true, Json::error_handler_t::replace);
    }
    static std::string shown(const Json& value) { return cut(text_of(value)); }
    /// A key as JSON has it, without the quotes: nothing in it ends a line.
    static std::string shown_key(const std::string& key) {
        const std::string quoted = text_of(Json(key));
        return quoted.substr(1, quoted.size() - 2);
    }
    static std::string one_of(const ConfigKey& row) {
        const std::string_view choices =
            row.path == "optimizer.type" ? schema::optimizers : row.choices;
        std::string all;
        std::size_t left = 0;
        for_each_word(choices, [&](std::string_view) { ++left; });
        for_each_word(choices, [&](std::string_view word) {
            --left;
            all += '"' + std::string{word} + (left > 1 ? "\", " : left == 1 ? "\" or " : "\"");
        });
        return all;
    }
    std::string origin(std::string_view path) const {
        return name_ + ": " + cut(std::string{path}, 120);
    }
    /// The type that a key of optimizer or scheduler depends on.
    std::string_view type_of(std::string_view path) const {
        return path.starts_with("optimizer.")   ? std::string_view{optimizer_}
               : path.starts_with("scheduler.") ? std::string_view{scheduler_}
                                                : std::string_view{};
    }
    const Json* at(std::string_view path) const {
        const Json* json = &file_;
        while (!path.empty()) {
            const std::size_t dot = std::min(path.find('.'), path.size());
            if (!json->is_object()) return nullptr;
            const auto found = json->find(path.substr(0, dot));
            if (found == json->end()) return nullptr;
            json = &*found;
            path.remove_prefix(std::min(dot + 1, path.size()));
        }
        return json;
    }

    /// What DeepSpeed still reads: a boolean stage, and two names of one key.
    void mend_older_forms() {
        if (const auto zero = file_.find("zero_optimization");
            zero != file_.end() && zero->is_boolean())
            *zero = Json{{"stage", zero->get<bool>() ? 1 : 0}};
        const auto once = [&](const char* older, const char* newer) {
            if (at(older) != nullptr && at(newer) != nullptr)
                fail(Errc::config, origin(older), " and ", newer,
                     " are two names of one key, expected the second alone");
        };
        once("bfloat16", "bf16");
        once("zero_optimization.stage3_gather_fp16_weights_on_model_save",
             "zero_optimization.stage3_gather_16bit_weights_on_model_save");
        once("zero_optimization.cpu_offload", "zero_optimization.offload_optimizer");
        once("zero_optimization.cpu_offload_param", "zero_optimization.offload_param");
    }

    void walk(const Json& object, const std::string& block) {
        for (const auto& [key, value] : object.items()) {
            const std::string path = block.empty() ? shown_key(key) : block + "." + shown_key(key);
            const ConfigKey* const row = find_config_key(path, type_of(path));
            if (row == nullptr || key.empty() || key.find('.') != key.npos) {
                const std::string_view type = type_of(path);
                fail(Errc::config, origin(path), " is no key of DeepSpeed's",
                     type.empty() ? "" : " for type ", type, ", expected ",
                     nearest_config_keys(path, type));
            }
            if (row->kind == ConfigKey::Kind::block) {
                if (value.is_null() || (is_auto(value) && takes_auto(path))) continue;
                if (!value.is_object())
                    fail(Errc::config, origin(path), " is ", shown(value), ", expected an object");
                walk(value, path);
                continue;
            }
            if (!value.is_null() && !(may_be_auto(*row) && is_auto(value)))
                check(path, *row, value);
            entries_.push_back(judged(path, *row, value));
        }
    }
    ConfigEntry judged(const std::string& path, const ConfigKey& row, const Json& value) const {
        ConfigEntry entry{path,     text_of(value),
                          row.fate, std::string{row.note},
                          {},       may_be_auto(row) && is_auto(value)};
        if (path == "optimizer.type" && value.is_string()) judge_optimizer(entry, value);
        if (row.fate != Fate::unsupported) return entry;
        for_each_word(row.off, [&](std::string_view off) {
            entry.expected += (entry.expected.empty() ? "" : " or ") + std::string{off};
            const Json leaves_off = Json::parse(off, nullptr, false);
            const bool is_off = row.kind == ConfigKey::Kind::choice && value.is_string()
                                    ? same_word(value.dump(), off)
                                    : value == leaves_off;
            if (is_off) entry.fate = Fate::harmless;
        });
        if (value.is_null() || entry.automatic) entry.fate = Fate::harmless;
        if (entry.expected.empty()) entry.expected = "it left out";
        if (entry.fate == Fate::harmless) entry.note = "left off";
        return entry;
    }
    static void judge_optimizer(ConfigEntry& entry, const Json& value) {
        const auto& type = value.get_ref<const std::string&>();
        if (!word_in(schema::optimizers, type).empty()) return;
        entry.fate = Fate::unsupported;
        entry.expected = one_of(*find_config_key(entry.path));
        entry.note = same_word(type, "Muon")
                         ? "Muon orthogonalises whole matrices, which shards of equal size cut"
                     : !word_in("OneBitAdam|ZeroOneAdam|OneBitLamb", type).empty()
                         ? "gradients travel in the model's type, not in one bit"
                         : "rates scaled by width are the model's parametrisation";
    }

    void check(const std::string& path, const ConfigKey& row, const Json& value) const {
        const auto refuse = [&](const std::string& expected) {
            fail(Errc::config, origin(path), " is ", shown(value), ", expected ", expected);
        };
        using Kind = ConfigKey::Kind;
        switch (row.kind) {
            case Kind::flag:
                if (!value.is_boolean()) refuse("true or false");
                break;
            case Kind::whole: {
                const double wide = value.is_number() ? value.get<double>() : row.least;
                const std::string range =
                    row.most < schema::largest_whole || wide > row.most
                        ? setting_text(row.least) + " to " + setting_text(row.most)
                        : "an integer from " + setting_text(row.least);
                if (!value.is_number()) refuse(range);
                if (wide != std::floor(wide) || wide < row.least || wide > row.most) refuse(range);
                break;
            }
            case Kind::number:
                check_number(path, row, value, value);
                break;
            case Kind::two_numbers:
                if (!value.is_array() || value.size() != 2) refuse("two numbers");
                for (const Json& each : value) check_number(path, row, value, each);
                break;
            case Kind::text:
                if (!value.is_string()) refuse("a text");
                break;
            case Kind::choice:
                if (!value.is_string() ||
                    word_in(row.choices, value.get_ref<const std::string&>()).empty())
                    refuse(one_of(row));
                break;
            case Kind::block:
            case Kind::any:
                break;
        }
    }
    void check_number(const std::string& path, const ConfigKey& row, const Json& whole,
                      const Json& value) const {
        const auto refuse = [&](const std::string& expected) {
            fail(Errc::config, origin(path), " is ", shown(whole), ", expected ", expected);
        };
        const std::string range =
            row.most == schema::below_one && row.least == 0 ? "a number in [0, 1)"
            : std::isinf(row.most) ? "a number from " + setting_text(row.least)
                                   : setting_text(row.least) + " to " + setting_text(row.most);
        if (!value.is_number()) refuse(range);
        const double result = value.get<double>();
        if (!(row.least <= result && result <= row.most)) refuse(range);
        const auto narrow = static_cast<float>(result);
        if (!std::isfinite(narrow) || (narrow == 0) != (result == 0))
            refuse("what fits a 32-bit float");
    }

    Json file_;
    std::string name_, optimizer_, scheduler_;
    std::vector<ConfigEntry>& entries_;
};

}  // namespace detail
}  // namespace zeropp
