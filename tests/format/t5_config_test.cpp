#include <string>

#include <zeropp/format/t5_config.hpp>
#include <zeropp/format/t5_presets.hpp>

#include "support/catch.hpp"
#include "support/temporary.hpp"

namespace zp = zeropp;
using zp::testing::message_of;
using FeedForward = zp::T5Config::FeedForward;

namespace {

zp::T5Config parsed(const std::string& text) { return zp::parse_t5_config(text, "config.json"); }
std::string refusal(const std::string& text) {
    return message_of([&] { parsed(text); });
}

}  // namespace

TEST_CASE("a config.json of 2020 has the meaning it had") {
    const auto config = parsed(R"({"architectures": ["T5WithLMHeadModel"], "d_ff": 24, "d_kv": 5,
        "d_model": 16, "model_type": "t5", "num_heads": 3, "num_layers": 4, "vocab_size": 40,
        "n_positions": 512, "relative_attention_num_buckets": 32, "task_specific_params": {}})");
    CHECK(config.num_decoder_layers == 4);
    CHECK(config.relative_attention_max_distance == 128);
    CHECK(config.feed_forward_proj == FeedForward::relu);
    CHECK((config.tie_word_embeddings && config.scale_decoder_outputs));
    CHECK(config.layer_norm_epsilon == 1e-6f);
    CHECK(config.dropout_rate == 0.1f);
    CHECK(config.inner_size() == 15);
    CHECK((config.pad_token_id == 0 && config.eos_token_id == 1 &&
           config.decoder_start_token_id == 0));
}

TEST_CASE("scaling follows its own key, and else the tie") {
    const auto t5 = [](const std::string& keys) {
        return parsed(R"({"model_type": "t5")" + keys + "}");
    };
    CHECK(t5("").scale_decoder_outputs);
    CHECK_FALSE(t5(R"(, "tie_word_embeddings": false)").scale_decoder_outputs);
    CHECK(t5(R"(, "tie_word_embeddings": false, "scale_decoder_outputs": true)")
              .scale_decoder_outputs);
    CHECK_FALSE(t5(R"(, "scale_decoder_outputs": false)").scale_decoder_outputs);
    CHECK(t5(R"(, "tie_word_embeddings": null, "num_decoder_layers": null, "num_layers": 2)")
              .num_decoder_layers == 2);
}

TEST_CASE("what a T5 cannot be is refused by key") {
    const std::string c = "zeropp: config.json: ";
    CHECK(refusal(R"({"model_type": "bert"})") == c + R"(model_type is "bert", expected "t5")");
    CHECK(refusal(R"({"feed_forward_proj": "gated-silu"})") ==
          c + R"(feed_forward_proj is "gated-silu", expected "relu" or "gated-gelu")");
    CHECK(refusal(R"({"feed_forward_proj": "gated-gelu", "dense_act_fn": "gelu"})") ==
          c + R"(dense_act_fn is "gelu", expected "gelu_new", as feed_forward_proj says)");
    CHECK(refusal(R"({"d_model": 0})") == c + "d_model is 0, expected 1 to 16777216");
    CHECK(refusal(R"({"d_model": -3})") == c + "d_model is -3, expected a count");
    CHECK(refusal(R"({"d_model": "512"})") == c + "d_model is \"512\", expected a count");
    CHECK(refusal(R"({"dropout_rate": 1})") ==
          c + "dropout_rate is 1, expected a number in [0, 1)");
    CHECK(refusal(R"({"eos_token_id": [1, 2]})") ==
          c + "eos_token_id is [1,2], expected one token's id");
    CHECK(refusal(R"({"eos_token_id": 40, "vocab_size": 40})") ==
          c + "eos_token_id is 40, expected 0 to 39");
    CHECK(refusal(R"({"relative_attention_max_distance": 16})") ==
          c + "relative_attention_max_distance is 16, expected 17 to 16777216");
    CHECK(refusal(R"({"model_type": "t5", "num_heads": 16777216, "d_kv": 16777216})") ==
          c + "num_heads * d_kv is 281474976710656, expected 1 to 16777216");
    CHECK(refusal(R"({"num_layers": 16777216})") ==
          c + "num_layers is 16777216, expected 1 to 4096");
    CHECK(refusal(R"({"num_decoder_layers": 4097})") ==
          c + "num_decoder_layers is 4097, expected 1 to 4096");
    CHECK(refusal(R"({"version": 3})") ==
          c + "has neither model_type nor d_model, expected the configuration of a T5");
    CHECK(refusal("[]") == c + "is array, expected an object");
}

TEST_CASE("a configuration that is written is read back the same") {
    zp::T5Config config = zp::t5_preset("flan-t5-small");
    config.layer_norm_epsilon = 1.1e-6f;
    config.dropout_rate = 0.05f;
    config.scale_decoder_outputs = true;
    config.num_decoder_layers = 3;
    config.vocab_size = 1234;
    const std::string text = zp::config_json(config);
    CHECK(text.find("\"dropout_rate\": 0.05,") != std::string::npos);
    const zp::T5Config again = parsed(text);
    CHECK(zp::config_json(again) == text);
    CHECK(again.layer_norm_epsilon == config.layer_norm_epsilon);
    CHECK(again.num_decoder_layers == 3);
    CHECK((again.scale_decoder_outputs && !again.tie_word_embeddings));
    CHECK(
        zp::generation_config_json(config) ==
        "{\n  \"decoder_start_token_id\": 0,\n  \"eos_token_id\": 1,\n  \"pad_token_id\": 0\n}\n");
}

TEST_CASE("the known models have the sizes of their papers") {
    const auto small = zp::t5_preset("t5-small"), flan = zp::t5_preset("flan-t5-small"),
               base = zp::t5_preset("t5-base"), second = zp::t5_preset("t5-v1_1-large");
    CHECK((small.d_model == 512 && small.d_ff == 2048 && small.num_layers == 6 &&
           small.num_heads == 8 && small.tie_word_embeddings));
    CHECK((flan.d_ff == 1024 && flan.num_layers == 8 && flan.inner_size() == 384 &&
           flan.feed_forward_proj == FeedForward::gated_gelu && !flan.tie_word_embeddings));
    CHECK((base.d_model == 768 && base.num_decoder_layers == 12));
    CHECK((second.d_model == 1024 && second.d_ff == 2816 && second.num_layers == 24));
    CHECK(
        message_of([] {
            zp::t5_preset("t5-tiny");
        }).starts_with("zeropp: model 't5-tiny' is unknown, expected one of t5-small, t5-base, "));
}
