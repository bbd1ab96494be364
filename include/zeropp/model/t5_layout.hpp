// SPDX-License-Identifier: Apache-2.0
/// \file Units and parameters of a T5, named as Hugging Face names them, and where they stand.
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <zeropp/core/error.hpp>
#include <zeropp/format/t5_config.hpp>
#include <zeropp/model/concepts.hpp>
#include <zeropp/model/freeze.hpp>
#include <zeropp/tensor/tape.hpp>

namespace zeropp {

/// Matrices [out, in] of one shape that read the same input: `count` of them, one after another.
struct T5Projection {
    ParameterRef first;
    std::size_t count = 0;

    /// Back to back, so that they are one product: always, but for sizes that alignment pads.
    bool is_one() const { return first.shape.size() % parameter_alignment == 0; }
    ParameterRef whole() const {
        return {first.unit, first.offset, {count * first.shape[0], first.shape[1]}};
    }
    ParameterRef part(std::size_t index) const {
        const std::size_t distance = (first.shape.size() + parameter_alignment - 1) /
                                     parameter_alignment * parameter_alignment;
        return {first.unit, first.offset + index * distance, first.shape};
    }
};
struct T5SelfAttention {
    ParameterRef norm;
    T5Projection query_key_value;
    ParameterRef output;
};
struct T5CrossAttention {
    ParameterRef norm, query;
    T5Projection key_value;
    ParameterRef output;
};
struct T5FeedForward {
    ParameterRef norm;
    T5Projection in;  ///< wi, or wi_0 and wi_1
    ParameterRef out;
};
struct T5Block {
    std::size_t unit = 0;
    T5SelfAttention self;
    T5CrossAttention cross;  ///< of decoder blocks
    T5FeedForward feed_forward;
};
struct T5Stack {
    std::size_t bias_unit = 0;
    ParameterRef bias;  ///< [buckets, heads], used by every block
    std::vector<T5Block> blocks;
    ParameterRef norm;  ///< in the last block's unit
};

/// The order of units is that of their use: shared embedding (resident), encoder's position bias
/// (resident), its blocks, the same of the decoder, and the head if it is not tied.
class T5Layout {
public:
    /// `frozen`: patterns of the names of parameters that are not trained, as of `freeze`.
    explicit T5Layout(const T5Config& config, std::span<const std::string> frozen = {})
        : config_{config} {
        require_valid(config, "T5");
        add_unit("shared", true);
        shared_ = add("shared.weight", {config.vocab_size, config.d_model});
        encoder_ = add_stack("encoder", config.num_layers, false);
        decoder_ = add_stack("decoder", config.num_decoder_layers, true);
        head_ = shared_;
        if (!config.tie_word_embeddings) {
            add_unit("lm_head", false);
            head_ = add("lm_head.weight", {config.vocab_size, config.d_model});
        }
        freeze(units_, frozen);
        put_frozen_last();
        encoder_is_frozen_ = std::all_of(
            units_.begin(), units_.begin() + static_cast<std::ptrdiff_t>(decoder_.bias_unit),
            is_frozen);
        for (std::size_t u = encoder_.bias_unit; u < decoder_.bias_unit; ++u)
            units_[u].forward_only = encoder_is_frozen_;
    }

    const T5Config& config() const noexcept { return config_; }
    const std::vector<Unit>& units() const noexcept { return units_; }
    const ParameterRef& shared() const noexcept { return shared_; }
    /// `shared()` itself if the head is tied.
    const ParameterRef& head() const noexcept { return head_; }
    /// With the shared embedding: nothing of its output is trained.
    bool encoder_is_frozen() const noexcept { return encoder_is_frozen_; }
    const T5Stack& encoder() const noexcept { return encoder_; }
    const T5Stack& decoder() const noexcept { return decoder_; }

private:
    void add_unit(std::string name, bool resident) {
        units_.push_back({std::move(name), {}, resident});
        together_.emplace_back();
    }
    template <class ItsShape>
    ParameterRef add_parameter(std::string name, const ItsShape& shape,
                               std::vector<std::size_t> extents) {
        Unit& unit = units_.back();
        together_.back().push_back(unit.parameters.size());
        unit.parameters.push_back({std::move(name), std::move(extents)});
        return {units_.size() - 1, parameter_offset(unit, unit.parameters.size() - 1), shape};
    }
    ParameterRef add(std::string name, std::pair<std::size_t, std::size_t> shape) {
        return add_parameter(std::move(name), Shape{shape.first, shape.second},
                             {shape.first, shape.second});
    }
    ParameterRef add_norm(const std::string& layer, const char* name = ".layer_norm.weight") {
        return add_parameter(layer + name, Shape{config_.d_model}, {config_.d_model});
    }
    T5Projection add_together(const std::string& layer, const std::vector<const char*>& names,
                              std::pair<std::size_t, std::size_t> shape) {
        T5Projection all;
        for (const char* const name : names) {
            const ParameterRef one = add(layer + name, shape);
            if (all.count++ == 0) all.first = one;
            std::vector<std::size_t>& together = together_.back();
            together.back() = together[together.size() - 1 - (all.count - 1)];
        }
        return all;
    }

    /// Units end with what is frozen, which costs nothing there. Matrices of one product stay
    /// together: all of them have gradients if one of them is trained.
    void put_frozen_last() {
        for (std::size_t u = 0; u < units_.size(); ++u) {
            Unit& unit = units_[u];
            std::vector<std::size_t> order;
            const auto take = [&](bool trained) {
                for (std::size_t i = 0; i < unit.parameters.size(); ++i)
                    if (trains_any(unit, together_[u], together_[u][i]) == trained)
                        order.push_back(i);
            };
            take(true);
            unit.joint_gradients = order.size();
            take(false);
            std::vector<std::pair<std::size_t, std::size_t>> moved;  // offsets before and after
            Unit in_order = unit;
            for (std::size_t i = 0; i < order.size(); ++i)
                in_order.parameters[i] = unit.parameters[order[i]];
            for (std::size_t i = 0; i < order.size(); ++i)
                moved.emplace_back(parameter_offset(unit, order[i]), parameter_offset(in_order, i));
            unit = std::move(in_order);
            for_each_place([&](ParameterRef& place) {
                if (place.unit != u) return;
                const auto from = std::find_if(moved.begin(), moved.end(), [&](const auto& each) {
                    return each.first == place.offset;
                });
                require(from != moved.end(), Errc::shape, "T5: no parameter of unit '", unit.name,
                        "' begins at ", place.offset, ", expected one");
                place.offset = from->second;
            });
        }
        together_.clear();
    }
    static bool trains_any(const Unit& unit, const std::vector<std::size_t>& together,
                           std::size_t first) {
        for (std::size_t i = first; i < together.size() && together[i] == first; ++i)
            if (unit.parameters[i].trainable) return true;
        return false;
    }
    template <class Visit>
    void for_each_place(Visit visit) {
        visit(shared_);
        visit(head_);
        for (T5Stack* stack : {&encoder_, &decoder_}) {
            visit(stack->bias);
            visit(stack->norm);
            for (T5Block& block : stack->blocks) {
                for (ParameterRef* place : {&block.self.norm, &block.self.query_key_value.first,
                                            &block.self.output, &block.feed_forward.norm,
                                            &block.feed_forward.in.first, &block.feed_forward.out})
                    visit(*place);
                if (stack == &decoder_)
                    for (ParameterRef* place : {&block.cross.norm, &block.cross.query,
                                                &block.cross.key_value.first, &block.cross.output})
                        visit(*place);
            }
        }
    }

    T5Stack add_stack(const std::string& name, std::size_t depth, bool decoder) {
        const std::size_t inner = config_.inner_size(), width = config_.d_model;
        T5Stack stack;
        add_unit(name + ".position_bias", true);
        stack.bias_unit = units_.size() - 1;
        stack.bias = add(name + ".block.0.layer.0.SelfAttention.relative_attention_bias.weight",
                         {config_.relative_attention_num_buckets, config_.num_heads});
        for (std::size_t index = 0; index < depth; ++index) {
            const std::string block_name = name + ".block." + std::to_string(index);
            add_unit(block_name, false);
            T5Block block;
            block.unit = units_.size() - 1;
            std::string layer = block_name + ".layer.0";
            block.self.norm = add_norm(layer);
            block.self.query_key_value = add_together(
                layer + ".SelfAttention", {".q.weight", ".k.weight", ".v.weight"}, {inner, width});
            block.self.output = add(layer + ".SelfAttention.o.weight", {width, inner});
            if (decoder) {
                layer = block_name + ".layer.1";
                block.cross.norm = add_norm(layer);
                block.cross.query = add(layer + ".EncDecAttention.q.weight", {inner, width});
                block.cross.key_value = add_together(layer + ".EncDecAttention",
                                                     {".k.weight", ".v.weight"}, {inner, width});
                block.cross.output = add(layer + ".EncDecAttention.o.weight", {width, inner});
            }
            layer = block_name + (decoder ? ".layer.2" : ".layer.1");
            block.feed_forward.norm = add_norm(layer);
            const bool gated = config_.feed_forward_proj == T5Config::FeedForward::gated_gelu;
            block.feed_forward.in = add_together(
                layer + ".DenseReluDense",
                gated ? std::vector{".wi_0.weight", ".wi_1.weight"} : std::vector{".wi.weight"},
                {config_.d_ff, width});
            block.feed_forward.out =
                add(layer + ".DenseReluDense.wo.weight", {width, config_.d_ff});
            stack.blocks.push_back(std::move(block));
        }
        stack.norm = add_norm(name, ".final_layer_norm.weight");
        return stack;
    }

    T5Config config_;
    std::vector<Unit> units_;
    std::vector<std::vector<std::size_t>> together_;  ///< by parameter: the first of its product
    ParameterRef shared_, head_;
    T5Stack encoder_, decoder_;
    bool encoder_is_frozen_ = false;
};

}  // namespace zeropp
