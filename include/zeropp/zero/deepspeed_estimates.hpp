// SPDX-License-Identifier: Apache-2.0
/// \file What DeepSpeed's `estimate_zero2_model_states_mem_needs` and
/// `estimate_zero3_model_states_mem_needs` say, to the byte (DeepSpeed 0.19,
/// runtime/zero/stage_1_and_2.py and stage3.py).
///
/// They are estimates of model states in 16 bits with Adam, and differ from `rank_plan` on purpose:
/// - both count 18 bytes an element: 2 of parameter, 2 and 4 of gradient, 4 of master and 8 of
///   Adam; zeropp keeps 14 in bf16 (the parameter is the upper half of its master, and gradients
///   are kept in one type);
/// - no padding, no staging, no buffers of communication, no activations;
/// - stage 2 divides all gradients by the ranks, though a bucket of them is whole while it is
///   reduced; stage 3 counts 4 bytes an element of one layer for what is gathered, where zeropp
///   keeps two buffers of the largest bucket and the resident units;
/// - memory of the host is what a node needs to load the model and to hold what is offloaded.
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

#include <zeropp/model/concepts.hpp>

namespace zeropp {

struct DeepSpeedModel {
    std::size_t parameters = 0;     ///< shared ones once
    std::size_t largest_layer = 0;  ///< parameters of the module that has most of its own
    std::size_t ranks_a_node = 1, nodes = 1;
};

/// In bytes: of the host's memory a node, of the device's a rank.
struct DeepSpeedEstimate {
    std::size_t cpu = 0, gpu = 0;

    friend bool operator==(const DeepSpeedEstimate&, const DeepSpeedEstimate&) = default;
};

namespace detail {

/// The estimators multiply in double and cut off the fraction.
struct DeepSpeedNumbers {
    double parameters, largest_layer, ranks_a_node, nodes;

    explicit DeepSpeedNumbers(const DeepSpeedModel& model)
        : parameters{static_cast<double>(model.parameters)},
          largest_layer{static_cast<double>(model.largest_layer)},
          ranks_a_node{static_cast<double>(model.ranks_a_node)},
          nodes{static_cast<double>(model.nodes)} {}
    double ranks() const { return ranks_a_node * nodes; }
    double of_rank(double bytes) const { return bytes * parameters / ranks(); }
};
inline std::size_t whole(double bytes) { return static_cast<std::size_t>(bytes); }

}  // namespace detail

struct DeepSpeedZero2 {
    bool offload = true;
    double buffer_factor = 1.5;
};
struct DeepSpeedZero3 {
    bool offload = true, offload_parameters = true;
    bool zero_init = true;  ///< the model is made in shards
    double buffer_factor = 1.5;
};

inline DeepSpeedEstimate deepspeed_estimate(const DeepSpeedModel& model, DeepSpeedZero2 how) {
    using detail::whole;
    const detail::DeepSpeedNumbers of{model};
    if (how.offload)
        return {whole(of.parameters * std::max(4 * of.ranks(), 16.0) * how.buffer_factor),
                2 * model.parameters};
    return {whole(of.parameters * 4 * of.ranks_a_node * how.buffer_factor),
            2 * model.parameters + whole(of.of_rank(18))};
}

inline DeepSpeedEstimate deepspeed_estimate(const DeepSpeedModel& model, DeepSpeedZero3 how) {
    using detail::whole;
    const detail::DeepSpeedNumbers of{model};
    const double a_node = 1 / of.nodes, loaded = 4 * of.ranks_a_node;
    const std::size_t layer = 4 * model.largest_layer;
    if (!how.offload)
        return {whole((how.zero_init ? of.largest_layer : of.parameters) * 4 * of.ranks_a_node *
                      how.buffer_factor),
                layer + whole(of.of_rank(18))};
    const double state = how.offload_parameters ? 18 : 16;
    const std::size_t cpu =
        how.zero_init ? whole(of.parameters * state * a_node * how.buffer_factor)
                      : whole(of.parameters * std::max(loaded, state * a_node) * how.buffer_factor);
    return {cpu, how.offload_parameters ? layer : layer + whole(of.of_rank(2))};
}

/// As `..._all_live` finds them in a model: here every matrix or vector is a module of its own, as
/// it is in a T5.
inline DeepSpeedModel deepspeed_model(const std::vector<Unit>& units, std::size_t ranks_a_node,
                                      std::size_t nodes) {
    DeepSpeedModel model{parameter_count(units), 0, ranks_a_node, nodes};
    for (const Unit& unit : units)
        for (const Parameter& parameter : unit.parameters)
            model.largest_layer = std::max(model.largest_layer, parameter.size());
    return model;
}

}  // namespace zeropp
