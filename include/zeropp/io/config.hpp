// SPDX-License-Identifier: Apache-2.0
/// \file `Config`: what a DeepSpeed JSON file says, every key checked, nothing assumed.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include <zeropp/core/error.hpp>
#include <zeropp/format/json.hpp>
#include <zeropp/io/settings.hpp>
#include <zeropp/optim/schedule.hpp>

namespace zeropp {

/// A setting is empty where the file has no such key. Blocks and names as in DeepSpeed's schema.
struct Config {
    struct Optimizer {
        Setting<std::string> type;  ///< "AdamW" or "Adam"
        Setting<double> lr, eps, weight_decay;
        Setting<std::array<double, 2>> betas;
    };
    struct Fp16 {
        Setting<bool> enabled;
        Setting<double> loss_scale, min_loss_scale;
        Setting<std::int64_t> loss_scale_window, hysteresis;
    };
    /// The keys that are not read by the engine (`allgather_partitions` ... `contiguous_gradients`)
    /// choose among DeepSpeed's own implementations of the same result.
    struct Zero {
        Setting<std::int64_t> stage, allgather_bucket_size, reduce_bucket_size;
        Setting<bool> allgather_partitions, overlap_comm, reduce_scatter, contiguous_gradients;
        Setting<bool> cpu_offload;
    };

    Setting<std::int64_t> train_batch_size, train_micro_batch_size_per_gpu;
    Setting<std::int64_t> gradient_accumulation_steps, steps_per_print;
    Setting<double> gradient_clipping;  ///< 1.0 where absent, as in DeepSpeed 0.19; 0 is off
    Setting<bool> bf16;                 ///< bf16.enabled
    Optimizer optimizer;
    Fp16 fp16;
    Zero zero_optimization;
};

namespace detail {

/// One object of the file. Every key that is read is remembered; `finish` refuses the others.
class ConfigBlock {
public:
    ConfigBlock(const Json& object, std::string file, std::string path)
        : object_{object}, file_{std::move(file)}, path_{std::move(path)} {
        if (!object.is_object())
            fail(Errc::config, file_, ": ", path_.empty() ? "the file" : path_, " is ",
                 object.dump(), ", expected an object");
    }

    void read(std::string_view key, Setting<bool>& setting) {
        if (const Json* value = find(key)) {
            if (!value->is_boolean()) refuse(key, *value, "true or false");
            setting = {value->template get<bool>(), origin(key)};
        }
    }
    void read(std::string_view key, Setting<double>& setting, double least, double most) {
        if (const Json* value = find(key))
            setting = {number(key, *value, least, most), origin(key)};
    }
    /// A number written as 5e8 is an integer too.
    void read(std::string_view key, Setting<std::int64_t>& setting, std::int64_t least,
              std::int64_t most) {
        if (const Json* value = find(key)) {
            const std::string range = most == largest
                                          ? "an integer from " + std::to_string(least)
                                          : std::to_string(least) + " to " + std::to_string(most);
            if (!value->is_number()) refuse(key, *value, range);
            const double wide = value->template get<double>();
            if (wide != std::floor(wide) || wide < static_cast<double>(least) ||
                wide > static_cast<double>(most))
                refuse(key, *value, range);
            setting = {static_cast<std::int64_t>(wide), origin(key)};
        }
    }
    void read(std::string_view key, Setting<std::array<double, 2>>& setting) {
        if (const Json* value = find(key)) {
            if (!value->is_array() || value->size() != 2) refuse(key, *value, "two numbers");
            setting = {std::array{number(key, (*value)[0], 0, below_one),
                                  number(key, (*value)[1], 0, below_one)},
                       origin(key)};
        }
    }
    /// One of `names`, in any case; the spelling of `names` is kept.
    void read(std::string_view key, Setting<std::string>& setting,
              std::initializer_list<std::string_view> names) {
        if (const Json* value = find(key)) {
            std::string all;
            for (const std::string_view name : names) {
                if (value->is_string() && same(value->template get<std::string>(), name))
                    setting = {std::string{name}, origin(key)};
                all += (all.empty() ? "\"" : " or \"") + std::string{name} + '"';
            }
            if (!setting.given()) refuse(key, *value, all);
        }
    }
    /// Calls read(block) if there is such a block, then refuses its unknown keys.
    template <class Read>
    void block(std::string_view key, Read read) {
        if (const Json* value = find(key)) {
            ConfigBlock inner{*value, file_, path(key)};
            read(inner);
            inner.finish();
        }
    }
    /// Refuses the block if it has no `key`.
    void need(std::string_view key, std::string_view expected) const {
        require(object_.contains(key), Errc::config, origin(key), " is missing, expected ",
                expected);
    }
    void finish() const {
        for (const auto& [key, value] : object_.items()) {
            if (std::find(known_.begin(), known_.end(), key) != known_.end()) continue;
            std::string all;
            for (const std::string& name : known_) all += (all.empty() ? "" : ", ") + name;
            fail(Errc::config, file_, ": ", path(key),
                 " is a key that this version does not know, expected one of ", all);
        }
    }

    static constexpr std::int64_t largest = std::int64_t{1} << 53;

private:
    static constexpr double below_one = 1.0 - 1e-9;

    const Json* find(std::string_view key) {
        known_.emplace_back(key);
        const auto found = object_.find(key);
        return found == object_.end() ? nullptr : &*found;
    }
    double number(std::string_view key, const Json& value, double least, double most) const {
        const std::string range = most == below_one ? "a number in [0, 1)"
                                  : std::isinf(most)
                                      ? "a number from " + setting_text(least)
                                      : setting_text(least) + " to " + setting_text(most);
        if (!value.is_number()) refuse(key, value, range);
        const double result = value.template get<double>();
        if (!(least <= result && result <= most)) refuse(key, value, range);
        const auto narrow = static_cast<float>(result);
        if (!std::isfinite(narrow) || (narrow == 0) != (result == 0))
            refuse(key, value, "what fits a 32-bit float");
        return result;
    }
    [[noreturn]] void refuse(std::string_view key, const Json& value,
                             const std::string& expected) const {
        fail(Errc::config, origin(key), " is ", value.dump(), ", expected ", expected);
    }
    std::string path(std::string_view key) const {
        return (path_.empty() ? "" : path_ + ".") + std::string{key};
    }
    std::string origin(std::string_view key) const { return file_ + ": " + path(key); }
    static bool same(std::string_view a, std::string_view b) {
        const auto lower = [](char c) {
            return 'A' <= c && c <= 'Z' ? static_cast<char>(c + 32) : c;
        };
        return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                          [&](char x, char y) { return lower(x) == lower(y); });
    }

    const Json& object_;
    std::string file_, path_;
    std::vector<std::string> known_;
};

}  // namespace detail

/// `name` stands for the file in messages.
inline Config parse_config(std::string_view text, const std::string& name) {
    const Json json = parse_json(text, name);
    constexpr double infinity = std::numeric_limits<double>::infinity();
    constexpr std::int64_t largest = detail::ConfigBlock::largest;
    using Block = detail::ConfigBlock;

    Config config;
    Block top{json, name, ""};
    top.read("train_batch_size", config.train_batch_size, 1, largest);
    top.read("train_micro_batch_size_per_gpu", config.train_micro_batch_size_per_gpu, 1, largest);
    top.read("gradient_accumulation_steps", config.gradient_accumulation_steps, 1, largest);
    top.read("steps_per_print", config.steps_per_print, 1, largest);
    top.read("gradient_clipping", config.gradient_clipping, 0, infinity);
    top.block("optimizer", [&](Block& block) {
        auto& optimizer = config.optimizer;
        block.need("type", "\"AdamW\" or \"Adam\"");
        block.read("type", optimizer.type, {"AdamW", "Adam"});
        block.block("params", [&](Block& params) {
            params.read("lr", optimizer.lr, 0, infinity);
            params.read("betas", optimizer.betas);
            params.read("eps", optimizer.eps, 0, infinity);
            params.read("weight_decay", optimizer.weight_decay, 0, infinity);
        });
    });
    top.block("bf16", [&](Block& block) { block.read("enabled", config.bf16); });
    top.block("fp16", [&](Block& block) {
        auto& half = config.fp16;
        block.read("enabled", half.enabled);
        block.read("loss_scale", half.loss_scale, 0, infinity);
        block.read("loss_scale_window", half.loss_scale_window, 1, largest);
        block.read("hysteresis", half.hysteresis, 0, largest);
        block.read("min_loss_scale", half.min_loss_scale, 0, infinity);
    });
    top.block("zero_optimization", [&](Block& block) {
        auto& zero = config.zero_optimization;
        block.read("stage", zero.stage, 0, 3);
        block.read("allgather_partitions", zero.allgather_partitions);
        block.read("allgather_bucket_size", zero.allgather_bucket_size, 1, largest);
        block.read("overlap_comm", zero.overlap_comm);
        block.read("reduce_scatter", zero.reduce_scatter);
        block.read("reduce_bucket_size", zero.reduce_bucket_size, 1, largest);
        block.read("contiguous_gradients", zero.contiguous_gradients);
        block.read("cpu_offload", zero.cpu_offload);
    });
    top.finish();
    return config;
}

/// Messages call the file by its last component.
inline Config read_config(const std::filesystem::path& path) {
    return parse_config(read_text(path), path.string());
}

/// Refuses what the file may say but this version cannot do; nothing is weakened in silence.
inline void require_supported(const Config& config) {
    const auto refuse = [](const Setting<bool>& setting, const char* instead) {
        require(!setting.value_or(false), Errc::config, setting.origin, " is true, expected false",
                instead);
    };
    refuse(config.fp16.enabled,
           "; fp16 needs dynamic loss scaling, which this version lacks: use \"bf16\": "
           "{\"enabled\": true}");
    refuse(config.zero_optimization.cpu_offload,
           "; this version keeps the optimizer's state beside the parameters");
}

}  // namespace zeropp
