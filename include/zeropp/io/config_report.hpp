// SPDX-License-Identifier: Apache-2.0
/// \file What becomes of a DeepSpeed configuration: of each of its keys, and the values that follow
/// from all of them; as a table for people, as JSON for programs, and the table of all keys.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <zeropp/core/error.hpp>
#include <zeropp/core/json.hpp>
#include <zeropp/io/dispatch.hpp>

namespace zeropp {

struct ConfigReport {
    /// What somebody else decides of a key that is "auto".
    struct Choice {
        Json value;
        std::string by;
    };
    struct Key {
        ConfigEntry entry;
        Choice choice;  ///< if `entry.automatic`
    };

    std::string name;
    std::vector<Key> keys;                               ///< in the file's order of names
    std::vector<std::pair<std::string, Json>> resolved;  ///< null: none
};

namespace detail {

/// The decimal digits that give the float back, not those of the double next to it.
inline Json number_json(float value) { return Json::parse(setting_text(value)); }
/// JSON, but texts without quotes.
inline std::string plain_text(const Json& value) {
    return value.is_null() ? "none" : value.is_string() ? value.get<std::string>() : value.dump();
}

/// The learning rate that a schedule starts from; null: the optimizer makes its own.
inline Json learning_rate_of(const Config& config) {
    return makes_its_rates(config) ? Json{}
                                   : number_json(optimizer_of(config).make_rule({})->rates().lr);
}

/// As zeropp-t5 decides where its flag is not given.
inline ConfigReport::Choice choice_of(const ConfigEntry& entry, const Config& config,
                                      const BatchSizes& sizes) {
    const std::string& path = entry.path;
    const bool elastic = config.elasticity.enabled.value_or(false);
    const std::string from_train = elastic                           ? "elasticity"
                                   : config.train_batch_size.given() ? "train_batch_size"
                                                                     : "";
    const auto or_from_train = [&](const char* flag) {
        return from_train.empty() ? flag : from_train;
    };
    if (path == "train_batch_size")
        return {sizes.train, elastic ? "elasticity" : "micro-batch * accumulation * ranks"};
    if (path == "train_micro_batch_size_per_gpu")
        return {sizes.micro, or_from_train("--batch-size")};
    if (path == "gradient_accumulation_steps")
        return {sizes.accumulation, config.train_micro_batch_size_per_gpu.given() || elastic
                                        ? or_from_train("--accumulation")
                                        : "--accumulation"};
    if (path == "steps_per_print") return {"every two seconds", "--steps-per-print"};
    if (path == "gradient_clipping") return {1.0, "--clip"};
    if (path.ends_with("16.enabled")) return {false, "--dtype"};
    if (path == "fp16.loss_scale") return {0, "--loss-scale"};
    if (path == "optimizer.params.lr") return {learning_rate_of(config), "--lr"};
    if (path == "optimizer.params.weight_decay")
        return {number_json(weight_decay_of(config.optimizer)), "--weight-decay"};
    if (path == "optimizer.params.betas") return {betas_of(config), "the default"};
    if (path == "scheduler.params.warmup_max_lr")
        return {learning_rate_of(config), "the optimizer's lr"};
    if (path == "scheduler.params.warmup_num_steps") return {"a tenth of all steps", "--steps"};
    if (path == "scheduler.params.total_num_steps") return {"all steps", "--steps"};
    if (path.ends_with("_bucket_size") && entry.fate == Fate::honoured)
        return {buckets_of(config).elements, "zeropp"};
    if (entry.fate != Fate::honoured) return {"any", "nothing depends on it"};
    const std::string type = path.starts_with("optimizer.")   ? config.optimizer.type.value_or("")
                             : path.starts_with("scheduler.") ? config.scheduler.type.value_or("")
                                                              : "";
    return {Json::parse(find_config_key(path, type)->standard), "the default"};
}

}  // namespace detail

/// Of a training by zeropp-t5 without flags: micro-batches of 8 where the file has no batch size.
/// Throws what such a training would throw, but for keys that are not supported.
inline ConfigReport config_report(Config config, int world) {
    fill_batch_size(config, 8, "the default batch size");
    const BatchSizes sizes = batch_sizes(config, world);
    require_policies(config, world);

    ConfigReport report{config.name, {}, {}};
    for (const ConfigEntry& entry : config.keys)
        report.keys.push_back({entry, entry.automatic ? detail::choice_of(entry, config, sizes)
                                                      : ConfigReport::Choice{}});

    const DType precision = precision_of(config);
    const LossScale scale = loss_scale_of(config);
    const Json scale_json = precision != DType::fp16 ? Json{}
                            : scale.loss_scale != 0  ? detail::number_json(scale.loss_scale)
                                                     : Json("dynamic");
    const DType gradients =
        gradients_of(config).type.value_or(sizes.accumulation == 1 ? precision : DType::fp32);
    const std::string_view optimizer =
        detail::word_in(schema::optimizers, config.optimizer.type.value_or(""));
    report.resolved = {
        {"train_batch_size", sizes.train},
        {"train_micro_batch_size_per_gpu", sizes.micro},
        {"gradient_accumulation_steps", sizes.accumulation},
        {"world", world},
        {"zero_stage", config.zero_optimization.stage.value_or(0)},
        {"precision", name_of(precision)},
        {"loss_scale", scale_json},
        {"optimizer", optimizer.empty() ? "AdamW" : optimizer},
        {"learning_rate", detail::learning_rate_of(config)},
        {"scheduler", config.scheduler.type.given() ? Json(*config.scheduler.type.value) : Json{}},
        {"gradient_clipping", config.gradient_clipping.value_or(1.0)},
        {"gradient_type", name_of(gradients)},
        {"optimizer_states", name_of(optimizer_states_of(config).format)},
        {"bucket_elements", buckets_of(config).elements},
        {"recompute", recompute_of(config)}};
    return report;
}

/// Three columns of the file's keys, then the resolved values.
inline std::string config_text(const ConfigReport& report) {
    std::vector<std::string> settings{"key = value"};
    for (const auto& [entry, choice] : report.keys)
        settings.push_back(entry.path + " = " +
                           (entry.automatic ? "auto -> " + detail::plain_text(choice.value) + " (" +
                                                  choice.by + ")"
                                            : entry.value));
    std::size_t width = 0;
    for (const std::string& setting : settings) width = std::max(width, setting.size());
    std::string text = report.name + "\n\n";
    const auto line = [&](std::string setting, std::string fate, std::string_view note) {
        setting.resize(width + 2, ' ');
        if (!note.empty()) fate.resize(15, ' ');
        text += setting + fate + std::string{note} + "\n";
    };
    line(settings[0], "fate", "note");
    for (std::size_t i = 0; i < report.keys.size(); ++i)
        line(settings[i + 1], std::string{name_of(report.keys[i].entry.fate)},
             report.keys[i].entry.note);
    text += "\n";
    for (const auto& [name, value] : report.resolved) {
        std::string padded = name;
        padded.resize(32, ' ');
        text += padded + detail::plain_text(value) + "\n";
    }
    return text;
}

/// One object: the resolved values, and `keys`.
inline Json config_json(const ConfigReport& report) {
    Json keys = Json::array();
    for (const auto& [entry, choice] : report.keys) {
        const Json value = Json::parse(entry.value, nullptr, false);  // long ones are cut
        Json key{{"path", entry.path},
                 {"value", value.is_discarded() ? Json(entry.value) : value},
                 {"fate", name_of(entry.fate)},
                 {"note", entry.note}};
        if (entry.automatic) {
            key["resolved"] = choice.value;
            key["decided_by"] = choice.by;
        }
        keys.push_back(std::move(key));
    }
    Json all{{"file", report.name}, {"keys", std::move(keys)}};
    for (const auto& [name, value] : report.resolved) all[name] = value;
    return all;
}

/// All keys that there are, in Markdown.
inline std::string config_table() {
    std::string table =
        "| Key | Default | Fate | What it does, why nothing, or what instead |\n"
        "|---|---|---|---|\n";
    const auto code = [](std::string_view words, const char* between) {
        std::string all;
        detail::for_each_word(words, [&](std::string_view word) {
            all += (all.empty() ? "`" : between + std::string{"`"}) + std::string{word} + "`";
        });
        return all;
    };
    for_each_config_key([&](const ConfigKey& key) {
        if (key.kind == ConfigKey::Kind::block) return;
        std::string of{key.of}, what{key.note};
        const bool is_optimizer = key.path == "optimizer.type";
        for (std::size_t bar; (bar = of.find('|')) != of.npos;) of.replace(bar, 1, ", ");
        if (key.kind == ConfigKey::Kind::choice && key.fate == Fate::honoured)
            what += "; one of " + code(is_optimizer ? schema::optimizers : key.choices, ", ");
        if (key.path.ends_with(".*") && !key.choices.empty())
            what += ": " + code(key.choices, ", ");
        if (key.kind == ConfigKey::Kind::words) what += "; of " + code(key.choices, ", ");
        if (is_optimizer) what += "; others are refused, each for its reason";
        if (key.automatic) what += "; may be `\"auto\"`";
        if (key.fate == Fate::unsupported && key.off != key.standard)
            what += "; accepted: " + code(key.off, ", ");
        table += "| `" + std::string{key.path} + "`" + (of.empty() ? "" : " of " + of) + " | " +
                 (key.standard.empty() ? "" : "`" + std::string{key.standard} + "`") + " | " +
                 std::string{name_of(key.fate)} + " | " + what + " |\n";
    });
    return table;
}

}  // namespace zeropp
