// SPDX-License-Identifier: Apache-2.0
/// \file A file of configuration against the table of keys: what is no key, or no value of one, is
/// refused by path.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <zeropp/core/error.hpp>
#include <zeropp/core/json.hpp>
#include <zeropp/io/config_value.hpp>
#include <zeropp/io/nearest_key.hpp>
#include <zeropp/io/schema.hpp>
#include <zeropp/io/settings.hpp>

namespace zeropp {
namespace detail {

/// Lines of one message, ten at most: the last one counts what is left out.
inline std::vector<std::string> at_most_ten(std::vector<std::string> sentences,
                                            const std::string& file, const char* left_out) {
    constexpr std::size_t most = 10;
    if (sentences.size() <= most) return sentences;
    const std::size_t more = sentences.size() - (most - 1);
    sentences.resize(most - 1);
    sentences.push_back(file + ": " + std::to_string(more) + " further " + left_out +
                        ", expected none");
    return sentences;
}
/// Throws if there are any.
inline void refuse_for(const std::vector<std::string>& sentences) {
    std::string all;
    for (const std::string& sentence : sentences)
        all += (all.empty() ? "" : "\nzeropp: ") + sentence;
    require(all.empty(), Errc::config, all);
}

class ConfigReader {
public:
    /// Checks all keys and values; `entries` gets them in the file's order of names.
    ConfigReader(Json file, std::string name, std::vector<ConfigEntry>& entries)
        : file_(std::move(file)), name_{std::move(name)}, entries_{entries} {
        if (!file_.is_object())
            fail(Errc::config, name_, ": the file is ", shown(file_), ", expected an object");
        mend_older_forms();
        optimizer_ = type_in("optimizer");
        scheduler_ = type_in("scheduler");
        walk(file_, "");
        refuse_for(at_most_ten(problems_, name_, "keys or values are wrong"));
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
    template <class T>
    void take(std::string_view path, std::vector<T>& list) const {
        const Json* const value = at(path);
        if (value != nullptr && value->is_array()) list = value->get<std::vector<T>>();
    }

private:
    static std::string shown(const Json& value) { return cut(json_text(value)); }
    /// A key as JSON has it, without the quotes: nothing in it ends a line.
    static std::string shown_key(const std::string& key) {
        const std::string quoted = json_text(Json(key));
        return key.empty() ? quoted : quoted.substr(1, quoted.size() - 2);
    }
    std::string origin(std::string_view path) const {
        return name_ + ": " + cut(std::string{path}, 120);
    }
    void refuse(const std::string& path, const std::string& is, const std::string& expected) {
        problems_.push_back(origin(path) + " is " + is + ", expected " + expected);
    }
    /// The type that a key of optimizer or scheduler depends on; empty if the file does not say it.
    std::string_view type_of(std::string_view path) const {
        return path.starts_with("optimizer.")   ? std::string_view{optimizer_}
               : path.starts_with("scheduler.") ? std::string_view{scheduler_}
                                                : std::string_view{};
    }
    std::string type_in(const std::string& block) {
        const Json* const found = at(block);
        if (found == nullptr || !found->is_object() || found->empty()) return {};
        const std::string path = block + ".type";
        const ConfigKey& row = *find_config_key(path);
        const auto type = found->find("type");
        if (type == found->end() || type->is_null()) {
            problems_.push_back(origin(path) + " is missing, expected " + choices_of(row));
            return {};
        }
        // What is wrong of it the walk says.
        return expected_value(row, *type).empty() ? type->get<std::string>() : "";
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
                problems_.push_back(origin(older) + " and " + newer +
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
            const std::string_view type = type_of(path);
            if (type.empty() && block.ends_with(".params")) continue;  // of no type, which is said
            const ConfigKey* const row = find_config_key(path, type);
            if (row == nullptr || key.empty() || key.find('.') != key.npos)
                problems_.push_back(origin(path) + " is no key of DeepSpeed's" +
                                    (type.empty() ? "" : " for type " + std::string{type}) +
                                    ", expected " + nearest_config_key(path, type));
            else if (row->kind == ConfigKey::Kind::block)
                enter(value, path);
            else
                keep(value, path, *row);
        }
    }
    void enter(const Json& value, const std::string& path) {
        const bool is_default = value.is_null() || (is_auto(value) && takes_auto(path));
        if (is_default || (value.is_object() && value.empty()))
            entries_.push_back(
                {path, json_text(value), Fate::harmless, "as if it were left out", {}, false});
        else if (value.is_object())
            walk(value, path);
        else
            refuse(path, shown(value), "an object");
    }
    void keep(const Json& value, const std::string& path, const ConfigKey& row) {
        if (!value.is_null() && !(may_be_auto(row) && is_auto(value)))
            if (const std::string expected = expected_value(row, value); !expected.empty())
                return refuse(path, shown(value), expected);
        entries_.push_back(judged(path, row, value));
    }

    Json file_;
    std::string name_, optimizer_, scheduler_;
    std::vector<ConfigEntry>& entries_;
    std::vector<std::string> problems_;
};

}  // namespace detail
}  // namespace zeropp
