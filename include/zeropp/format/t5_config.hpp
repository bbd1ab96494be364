// SPDX-License-Identifier: Apache-2.0
/// \file `T5Config`: Hugging Face's config.json of a T5, old and new.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <string_view>

#include <zeropp/core/error.hpp>
#include <zeropp/format/json.hpp>

namespace zeropp {

/// Names and defaults are Hugging Face's.
struct T5Config {
    enum class FeedForward { relu, gated_gelu };

    std::size_t vocab_size = 32128, d_model = 512, d_kv = 64, d_ff = 2048;
    std::size_t num_layers = 6, num_decoder_layers = 6, num_heads = 8;
    std::size_t relative_attention_num_buckets = 32, relative_attention_max_distance = 128;
    float dropout_rate = 0.1f, layer_norm_epsilon = 1e-6f, initializer_factor = 1.0f;
    FeedForward feed_forward_proj = FeedForward::relu;
    std::int32_t pad_token_id = 0, eos_token_id = 1, decoder_start_token_id = 0;
    bool tie_word_embeddings = true;    ///< of new weights; of a file's, the file decides
    bool scale_decoder_outputs = true;  ///< by d_model^-0.5, before the head

    std::size_t inner_size() const noexcept { return num_heads * d_kv; }
};

/// What has no meaning is refused; messages call the configuration `name`.
inline void require_valid(const T5Config& config, const std::string& name) {
    const auto within = [&](const char* key, std::size_t value, std::size_t least,
                            std::size_t most = std::size_t{1} << 24) {
        require(least <= value && value <= most, Errc::config, name, ": ", key, " is ", value,
                ", expected ", least, " to ", most);
    };
    within("vocab_size", config.vocab_size, 2);
    within("d_model", config.d_model, 1);
    within("d_kv", config.d_kv, 1);
    within("d_ff", config.d_ff, 1);
    within("num_layers", config.num_layers, 1, 4096);
    within("num_decoder_layers", config.num_decoder_layers, 1, 4096);
    within("num_heads", config.num_heads, 1);
    within("num_heads * d_kv", config.inner_size(), 1);
    within("relative_attention_num_buckets", config.relative_attention_num_buckets, 4);
    within("relative_attention_max_distance", config.relative_attention_max_distance,
           config.relative_attention_num_buckets / 2 + 1);
    require(0 <= config.dropout_rate && config.dropout_rate < 1, Errc::config, name,
            ": dropout_rate is ", config.dropout_rate, ", expected a number in [0, 1)");
    require(config.layer_norm_epsilon > 0 && std::isfinite(config.layer_norm_epsilon), Errc::config,
            name, ": layer_norm_epsilon is ", config.layer_norm_epsilon,
            ", expected a positive number");
    require(config.initializer_factor > 0 && std::isfinite(config.initializer_factor), Errc::config,
            name, ": initializer_factor is ", config.initializer_factor,
            ", expected a positive number");
    const auto token = [&](const char* key, std::int32_t id) {
        require(id >= 0 && static_cast<std::size_t>(id) < config.vocab_size, Errc::config, name,
                ": ", key, " is ", id, ", expected 0 to ", config.vocab_size - 1);
    };
    token("pad_token_id", config.pad_token_id);
    token("eos_token_id", config.eos_token_id);
    token("decoder_start_token_id", config.decoder_start_token_id);
}

namespace detail {

/// A key that is missing or null leaves the value.
class T5Keys {
public:
    T5Keys(const Json& json, const std::string& name) : json_{json}, name_{name} {}

    const Json* find(const char* key) const {
        const auto found = json_.find(key);
        return found == json_.end() || found->is_null() ? nullptr : &*found;
    }
    bool read(const char* key, std::size_t& value) const {
        const Json* const json = find(key);
        if (json == nullptr) return false;
        if (!json->is_number_unsigned()) refuse(key, "a count");
        value = json->get<std::size_t>();
        return true;
    }
    void read(const char* key, std::int32_t& value) const {
        const Json* const json = find(key);
        if (json == nullptr) return;
        if (!json->is_number_integer()) refuse(key, "one token's id");
        const auto wide = json->get<std::int64_t>();
        value = 0 <= wide && wide < std::int64_t{1} << 31 ? static_cast<std::int32_t>(wide) : -1;
        if (value < 0) refuse(key, "one token's id");
    }
    void read(const char* key, float& value) const {
        const Json* const json = find(key);
        if (json == nullptr) return;
        if (!json->is_number()) refuse(key, "a number");
        value = json->get<float>();
    }
    bool read(const char* key, bool& value) const {
        const Json* const json = find(key);
        if (json == nullptr) return false;
        if (!json->is_boolean()) refuse(key, "true or false");
        value = json->get<bool>();
        return true;
    }
    [[noreturn]] void refuse(const char* key, const char* expected) const {
        fail(Errc::config, name_, ": ", key, " is ", json_[key].dump(), ", expected ", expected);
    }

private:
    const Json& json_;
    const std::string& name_;
};

}  // namespace detail

/// Keys that do not change what a T5 computes are left alone; `name` stands for the file in
/// messages.
inline T5Config parse_t5_config(std::string_view text, const std::string& name) {
    const Json json = parse_json(text, name);
    require(json.is_object(), Errc::config, name, ": is ", json.type_name(),
            ", expected an object");
    const detail::T5Keys keys{json, name};
    if (const Json* type = keys.find("model_type"); type != nullptr && *type != "t5")
        keys.refuse("model_type", "\"t5\"");
    T5Config config;
    keys.read("vocab_size", config.vocab_size);
    keys.read("d_model", config.d_model);
    keys.read("d_kv", config.d_kv);
    keys.read("d_ff", config.d_ff);
    keys.read("num_layers", config.num_layers);
    if (!keys.read("num_decoder_layers", config.num_decoder_layers))
        config.num_decoder_layers = config.num_layers;
    keys.read("num_heads", config.num_heads);
    keys.read("relative_attention_num_buckets", config.relative_attention_num_buckets);
    keys.read("relative_attention_max_distance", config.relative_attention_max_distance);
    keys.read("dropout_rate", config.dropout_rate);
    keys.read("layer_norm_epsilon", config.layer_norm_epsilon);
    keys.read("initializer_factor", config.initializer_factor);
    if (const Json* kind = keys.find("feed_forward_proj")) {
        if (*kind == "gated-gelu")
            config.feed_forward_proj = T5Config::FeedForward::gated_gelu;
        else if (*kind != "relu")
            keys.refuse("feed_forward_proj", "\"relu\" or \"gated-gelu\"");
    }
    const bool gated = config.feed_forward_proj == T5Config::FeedForward::gated_gelu;
    const char* const activation = gated ? "gelu_new" : "relu";
    if (const Json* kind = keys.find("dense_act_fn"); kind != nullptr && *kind != activation)
        keys.refuse("dense_act_fn", gated ? "\"gelu_new\", as feed_forward_proj says"
                                          : "\"relu\", as feed_forward_proj says");
    keys.read("pad_token_id", config.pad_token_id);
    keys.read("eos_token_id", config.eos_token_id);
    keys.read("decoder_start_token_id", config.decoder_start_token_id);
    keys.read("tie_word_embeddings", config.tie_word_embeddings);
    if (!keys.read("scale_decoder_outputs", config.scale_decoder_outputs))
        config.scale_decoder_outputs = config.tie_word_embeddings;
    require_valid(config, name);
    require(keys.find("model_type") || keys.find("d_model"), Errc::config, name,
            ": has neither model_type nor d_model, expected the configuration of a T5");
    return config;
}

inline T5Config read_t5_config(const std::filesystem::path& path) {
    return parse_t5_config(read_text(path), path.string());
}

/// The text of a config.json. `carried`: the source's, whose other keys stay.
inline std::string config_json(const T5Config& config, Json carried = Json::object()) {
    const bool gated = config.feed_forward_proj == T5Config::FeedForward::gated_gelu;
    // A float's own digits, not those of the double beside it.
    const auto number = [](float value) {
        std::string text;
        append_text(text, value);
        return std::strtod(text.c_str(), nullptr);
    };
    carried.update({
        {"architectures", Json::array({"T5ForConditionalGeneration"})},
        {"model_type", "t5"},
        {"is_encoder_decoder", true},
        {"use_cache", true},
        {"vocab_size", config.vocab_size},
        {"d_model", config.d_model},
        {"d_kv", config.d_kv},
        {"d_ff", config.d_ff},
        {"num_layers", config.num_layers},
        {"num_decoder_layers", config.num_decoder_layers},
        {"num_heads", config.num_heads},
        {"relative_attention_num_buckets", config.relative_attention_num_buckets},
        {"relative_attention_max_distance", config.relative_attention_max_distance},
        {"dropout_rate", number(config.dropout_rate)},
        {"layer_norm_epsilon", number(config.layer_norm_epsilon)},
        {"initializer_factor", number(config.initializer_factor)},
        {"feed_forward_proj", gated ? "gated-gelu" : "relu"},
        {"dense_act_fn", gated ? "gelu_new" : "relu"},
        {"is_gated_act", gated},
        {"pad_token_id", config.pad_token_id},
        {"eos_token_id", config.eos_token_id},
        {"decoder_start_token_id", config.decoder_start_token_id},
        {"tie_word_embeddings", config.tie_word_embeddings},
        {"scale_decoder_outputs", config.scale_decoder_outputs},
    });
    for (const char* key : {"dtype", "torch_dtype"})  // what is written is the fp32 master
        if (carried.contains(key)) carried[key] = "float32";
    return carried.dump(2) + "\n";
}

/// The text of a generation_config.json. `carried`: the source's, whose other keys stay.
inline std::string generation_config_json(const T5Config& config, Json carried = Json::object()) {
    carried.update({{"decoder_start_token_id", config.decoder_start_token_id},
                    {"eos_token_id", config.eos_token_id},
                    {"pad_token_id", config.pad_token_id}});
    return carried.dump(2) + "\n";
}

}  // namespace zeropp
