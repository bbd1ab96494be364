// SPDX-License-Identifier: Apache-2.0
/// \file Where a T5's weights come from: directories, also broken ones, and random numbers.
#include <cmath>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include <unistd.h>

#include <zeropp/format/safetensors.hpp>
#include <zeropp/format/safetensors_writer.hpp>
#include <zeropp/format/t5_presets.hpp>
#include <zeropp/model/loaded_weights.hpp>
#include <zeropp/model/t5.hpp>
#include <zeropp/model/t5_weights.hpp>

#include "model/golden.hpp"
#include "support/catch.hpp"

namespace zp = zeropp;
namespace fs = std::filesystem;
using namespace zeropp::testing;
using Catch::Matchers::Contains;

namespace {

struct Stored {
    std::string name;
    std::vector<std::size_t> shape;
    std::vector<float> values;
};

/// relu_tied with its tensors changed, as a directory that is removed again.
class Changed {
public:
    explicit Changed(const std::function<void(std::vector<Stored>&)>& change) {
        std::vector<Stored> tensors;
        const zp::StoredWeights weights{golden_directory("relu_tied")};
        for (const zp::StoredTensor* const tensor : weights.tensors()) {
            tensors.push_back({tensor->name, tensor->shape, std::vector<float>(tensor->size())});
            tensor->read(0, tensors.back().values);
        }
        change(tensors);
        fs::create_directories(path_);
        fs::copy_file(golden_directory("relu_tied") / "config.json", path_ / "config.json",
                      fs::copy_options::overwrite_existing);
        std::vector<zp::SafetensorsWriter::Entry> entries;
        for (const Stored& tensor : tensors) entries.push_back({tensor.name, tensor.shape});
        zp::SafetensorsWriter writer{path_ / "model.safetensors", entries};
        for (const Stored& tensor : tensors) writer.append(tensor.name, tensor.values);
        writer.sync();
        writer.publish();
    }
    Changed(const Changed&) = delete;
    Changed& operator=(const Changed&) = delete;
    ~Changed() { fs::remove_all(path_); }
    const fs::path& path() const { return path_; }

private:
    fs::path path_ =
        fs::temp_directory_path() / ("zeropp_t5_weights_" + std::to_string(::getpid()));
};

Stored& find(std::vector<Stored>& tensors, const std::string& name) {
    for (Stored& tensor : tensors)
        if (tensor.name == name) return tensor;
    throw std::runtime_error{"no tensor " + name};
}
Stored renamed(Stored tensor, const std::string& name) {
    tensor.name = name;
    return tensor;
}

double loss_of(const fs::path& directory) {
    auto model = zp::T5<float>::from_pretrained(
        directory, {.micro_batch = 3, .max_source_length = 30, .max_target_length = 11});
    zp::LoadedWeights weights{model};
    return model.evaluate(Golden{"relu_tied"}.batch(), weights).mean();
}

std::vector<float> values_of(const zp::T5RandomWeights& weights, const zp::Parameter& parameter) {
    std::vector<float> values(parameter.size());
    weights.fill(parameter, 0, values);
    return values;
}

}  // namespace

TEST_CASE("aliases and copies of the embedding are the embedding") {
    const double loss = loss_of(golden_directory("relu_tied"));
    const Changed alias{[](std::vector<Stored>& tensors) {
        find(tensors, "shared.weight").name = "encoder.embed_tokens.weight";
    }};
    CHECK(loss_of(alias.path()) == loss);
    const Changed copies{[](std::vector<Stored>& tensors) {
        const Stored shared = find(tensors, "shared.weight");
        tensors.push_back(renamed(shared, "lm_head.weight"));
        tensors.push_back(renamed(shared, "decoder.embed_tokens.weight"));
        tensors.push_back({"decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight",
                           {8, 3},
                           std::vector<float>(24, 1)});
    }};
    CHECK(loss_of(copies.path()) == loss);
    CHECK(zp::T5<float>::from_pretrained(copies.path()).config().tie_word_embeddings);
}

TEST_CASE(
    "a head that differs from the embedding is a head of its own, whatever config.json says") {
    const Changed changed{[](std::vector<Stored>& tensors) {
        Stored head = renamed(find(tensors, "shared.weight"), "lm_head.weight");
        head.values.back() += 1;
        tensors.push_back(head);
    }};
    const auto model = zp::T5<float>::from_pretrained(changed.path());
    CHECK_FALSE(model.config().tie_word_embeddings);
    CHECK(model.config().scale_decoder_outputs);
    CHECK(model.units().back().parameters[0].name == "lm_head.weight");
}

TEST_CASE(
    "a directory whose tensors are not those of config.json is refused by the tensor's name") {
    const auto refused = [](const std::function<void(std::vector<Stored>&)>& change,
                            const std::string& message) {
        const Changed changed{change};
        CHECK_THROWS_WITH(zp::T5<float>::from_pretrained(changed.path()), Contains(message));
    };
    const std::string q = "decoder.block.1.layer.0.SelfAttention.q.weight";
    refused(
        [&](std::vector<Stored>& tensors) {
            find(tensors, q).shape = {16, 12};
        },
        "tensor '" + q + "' has shape [16, 12], expected [12, 16] by config.json");
    refused([&](std::vector<Stored>& tensors) { find(tensors, q).name = "other"; },
            "tensor '" + q + "' is missing, expected every tensor");
    refused(
        [&](std::vector<Stored>& tensors) {
            tensors.push_back(renamed(find(tensors, q), "decoder.block.2.x"));
        },
        "tensor 'decoder.block.2.x' has no place in the model");
    refused(
        [&](std::vector<Stored>& tensors) {
            Stored copy = renamed(find(tensors, "shared.weight"), "encoder.embed_tokens.weight");
            copy.values[0] += 1;
            tensors.push_back(copy);
        },
        "'encoder.embed_tokens.weight' differs from 'shared.weight', expected its copy");
    CHECK_THROWS_WITH(zp::T5<float>::from_pretrained("/nowhere"),
                      Contains("/nowhere/config.json: "));
}

TEST_CASE("options that mean nothing are refused") {
    const auto directory = golden_directory("relu_tied");
    CHECK_THROWS_WITH(zp::T5<float>::from_pretrained(directory, {.micro_batch = 0}),
                      Contains("micro_batch is 0, expected at least 1"));
    CHECK_THROWS_WITH(zp::T5<float>::from_pretrained(directory, {.dropout = 1.0f}),
                      Contains("dropout is 1, expected a number in [0, 1)"));
    auto model = zp::T5<float>::from_pretrained(directory, {.micro_batch = 2});
    zp::LoadedWeights weights{model};
    CHECK_THROWS_WITH(model.evaluate(Golden{"relu_tied"}.batch(), weights),
                      Contains("a batch of size 3, expected 1 to 2"));
}

TEST_CASE("random weights have Hugging Face's distributions") {
    zp::T5Config config = zp::t5_preset("t5-v1_1-small");
    config.vocab_size = 1024;
    config.num_layers = config.num_decoder_layers = 1;
    const zp::T5RandomWeights weights{config, 3};
    const zp::T5Layout layout{config};
    const double width = 512, head = 64, heads = 6, hidden = 1024;
    for (const zp::Unit& unit : layout.units())
        for (const zp::Parameter& parameter : unit.parameters) {
            CAPTURE(parameter.name);
            const std::vector<float> values = values_of(weights, parameter);
            double sum = 0, squares = 0;
            for (const float value : values) {
                sum += value;
                squares += double{value} * value;
            }
            const auto count = static_cast<double>(values.size());
            const std::string& name = parameter.name;
            if (name.ends_with("layer_norm.weight")) {
                CHECK(sum == count);
                CHECK(squares == count);
                continue;
            }
            double deviation = 1;  // embedding, head
            if (name.ends_with(".q.weight")) deviation = 1 / std::sqrt(width * head);
            if (name.ends_with(".k.weight") || name.ends_with(".v.weight") ||
                name.find(".wi_") != name.npos || name.find("attention_bias") != name.npos)
                deviation = 1 / std::sqrt(width);
            if (name.ends_with(".o.weight")) deviation = 1 / std::sqrt(heads * head);
            if (name.ends_with(".wo.weight")) deviation = 1 / std::sqrt(hidden);
            // Five standard errors of a mean and of a variance.
            CHECK(std::abs(sum / count) < 5 * deviation / std::sqrt(count));
            CHECK(squares / count / (deviation * deviation) ==
                  Approx(1).margin(5 * std::sqrt(2 / count)));
        }
}

TEST_CASE("random weights are a function of seed, name and index") {
    const zp::T5Config config = zp::read_t5_config(golden_directory("relu_tied") / "config.json");
    const auto model = zp::T5<float>::with_random_weights(config, 7);
    const zp::Parameter parameter = model.units()[0].parameters[0];
    std::vector<float> whole(parameter.size()), part(100);
    model.fill(0, 0, 0, whole);
    model.fill(0, 0, 33, part);
    CHECK(std::equal(part.begin(), part.end(), whole.begin() + 33));
    std::vector<float> other(parameter.size());
    zp::T5<float>::with_random_weights(config, 8).fill(0, 0, 0, other);
    CHECK(whole != other);
}
