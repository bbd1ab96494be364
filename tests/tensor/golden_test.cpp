// SPDX-License-Identifier: Apache-2.0
/// \file Every operation but dropout against PyTorch: values and gradients (tests/golden/ops.py).
#include "support/golden.hpp"

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <zeropp/device/onednn.hpp>
#include <zeropp/format/safetensors.hpp>

#include "gradient_check.hpp"

using namespace check;

namespace {

const zp::StoredTensor& golden(const std::string& name) {
    static const zp::SafetensorsFile file{zp::testing::golden("ops/ops.safetensors")};
    for (const zp::StoredTensor& tensor : file.tensors())
        if (tensor.name == name) return tensor;
    zp::fail(zp::Errc::io, "golden data: no tensor '", name, "', expected one");
}
template <class T = float>
std::vector<T> values(const std::string& name) {
    std::vector<float> all(golden(name).size());
    golden(name).read(0, all);
    return {all.begin(), all.end()};
}

/// One case: its inputs are parameters, one after another in unit 0. `graph(tape, inputs)` makes
/// the result of them, or records a loss and gives no value.
template <class P, class Graph>
void compare(const std::string& name, const std::vector<std::string>& inputs, const Graph& graph) {
    INFO(name);
    std::vector<zp::ParameterRef> references;
    std::vector<float> all;
    for (const std::string& input : inputs) {
        const zp::StoredTensor& tensor = golden(name + "." + input);
        const auto& s = tensor.shape;
        references.push_back({0, all.size(),
                              s.size() == 1   ? zp::Shape{s[0]}
                              : s.size() == 2 ? zp::Shape{s[0], s[1]}
                                              : zp::Shape{s[0], s[1], s[2]}});
        const auto part = values(tensor.name);
        all.insert(all.end(), part.begin(), part.end());
    }
    Weights<float> weights{{all.size()}};
    weights.values[0] = all;
    const std::vector<double> expected = values<double>(name + ".out");
    std::vector<double> out;
    const std::vector<float> dout =
        name == "cross_entropy" ? std::vector<float>{} : values(name + ".dout");
    const Run result = run<float, P>(weights, [&](auto& tape) {
        tape.enter(0);
        if (const zp::Var<float> value = graph(tape, references)) {
            if (!tape.is_measuring()) out.assign(value.data(), value.data() + dout.size());
            given_slopes(tape, value, dout);
        }
        tape.leave(0);
    });
    if (out.empty()) out.push_back(result.loss);
    // Each of a handful of roundings in a row is of 6e-8.
    CHECK(distance(out, expected) < 1e-6);
    for (std::size_t i = 0; i < inputs.size(); ++i) {
        INFO("gradient of " << inputs[i]);
        const auto first =
            result.gradients[0].begin() + static_cast<std::ptrdiff_t>(references[i].offset);
        const std::vector<double> gradient{
            first, first + static_cast<std::ptrdiff_t>(references[i].shape.size())};
        CHECK(distance(gradient, values<double>(name + ".d" + inputs[i])) < 1e-6);
    }
}

using References = std::vector<zp::ParameterRef>;
using Columns = zp::Columns<float>;

template <class P>
void compare_attention(const std::string& name, bool biased, bool masked,
                       zp::AttentionOptions options) {
    const auto mask = masked ? values<std::uint8_t>(name + ".mask") : std::vector<std::uint8_t>{};
    options.key_mask = mask;
    std::vector<std::string> inputs{"q", "k", "v"};
    if (biased) inputs.push_back("table");
    compare<P>(name, inputs, [&](auto& tape, const References& in) {
        zp::PositionBias<float> bias;
        if (biased)
            bias = zp::relative_position_bias(
                tape, in[3], 5, 5,
                {.bidirectional = !options.causal, .count = 8, .max_distance = 6});
        const zp::Var<float> q = leaf(tape, in[0]), k = leaf(tape, in[1]), v = leaf(tape, in[2]);
        return zp::attention(tape, Columns{q}, Columns{k}, Columns{v}, bias, options);
    });
}

template <class P>
void compare_all() {
    compare<P>("linear", {"x", "weight"}, [](auto& tape, const References& in) {
        return zp::linear(tape, leaf(tape, in[0]), in[1]);
    });
    const auto ids = values<std::int32_t>("embedding.ids");
    compare<P>("embedding", {"table"}, [&](auto& tape, const References& in) {
        return zp::embedding(tape, std::span{ids}, 2, in[0]);
    });
    compare<P>("rms_norm", {"x", "weight"}, [](auto& tape, const References& in) {
        return zp::rms_norm(tape, leaf(tape, in[0]), in[1], 1e-6f);
    });
    compare_attention<P>("self_attention", true, true, {.heads = 2});
    compare_attention<P>("causal_attention", true, false, {.heads = 2, .causal = true});
    compare_attention<P>("cross_attention", false, true, {.heads = 3});
    compare<P>("relu", {"input"},
               [](auto& tape, const References& in) { return zp::relu(tape, leaf(tape, in[0])); });
    compare<P>("gated_gelu", {"gate", "linear"}, [](auto& tape, const References& in) {
        const zp::Var<float> gate = leaf(tape, in[0]), linear = leaf(tape, in[1]);
        return zp::gated_gelu(tape, Columns{gate}, Columns{linear});
    });
    compare<P>("residual_add", {"input", "other"}, [](auto& tape, const References& in) {
        const zp::Var<float> x = leaf(tape, in[0]), branch = leaf(tape, in[1]);
        return zp::residual_add(tape, x, branch);
    });
    compare<P>("scaled", {"x"}, [](auto& tape, const References& in) {
        return zp::scaled(tape, leaf(tape, in[0]), 0.3f);
    });
    const auto labels = values<std::int32_t>("cross_entropy.labels");
    compare<P>("cross_entropy", {"x", "weight"}, [&](auto& tape, const References& in) {
        zp::cross_entropy(tape, leaf(tape, in[0]), in[1], labels, {.scale = 0.7f});
        return zp::Var<float>{};
    });
}

}  // namespace

TEST_CASE("every operation equals PyTorch's") {
    compare_all<zp::ReferenceProducts>();
    compare_all<zp::OneDnn>();
}
