// SPDX-License-Identifier: Apache-2.0
/// \file Numeric Jacobians: any graph over parameters, in double, against its backward; and the
/// same graph in fp32, bf16 and fp16 against double.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <numeric>
#include <span>
#include <string>
#include <vector>

#include <zeropp/core/rng.hpp>
#include <zeropp/device/host.hpp>
#include <zeropp/tensor/ops.hpp>
#include <zeropp/tensor/reference_products.hpp>

#include "support/catch.hpp"

namespace check {

namespace zp = zeropp;

/// Parameters in plain vectors. Gradients start as NaN, so that what is not written shows.
template <class E>
struct Weights {
    std::vector<std::vector<E>> values, gradients;
    std::vector<std::string> calls;

    explicit Weights(const std::vector<std::size_t>& sizes, std::uint64_t seed = 1) {
        for (std::size_t unit = 0; unit < sizes.size(); ++unit) {
            auto& unit_values = values.emplace_back(sizes[unit]);
            for (std::size_t i = 0; i < unit_values.size(); ++i)
                unit_values[i] = static_cast<E>(zp::normal_at(seed, unit, i));
            gradients.emplace_back(sizes[unit], nan());
        }
    }
    std::span<const E> use(std::size_t unit) {
        calls.push_back("use " + std::to_string(unit));
        return values[unit];
    }
    void release(std::size_t unit) { calls.push_back("release " + std::to_string(unit)); }
    std::span<E> gradient(std::size_t unit) {
        calls.push_back("gradient " + std::to_string(unit));
        return gradients[unit];
    }
    void ready(std::size_t unit) { calls.push_back("ready " + std::to_string(unit)); }

private:
    static E nan() { return static_cast<E>(std::numeric_limits<float>::quiet_NaN()); }
};

/// A parameter as a value, to try an operation on.
template <zp::Scalar E, zp::Device D, class P>
zp::Var<E> leaf(zp::Tape<E, D, P>& tape, const zp::ParameterRef& parameter) {
    struct Node : zp::Tape<E, D, P>::Node {
        zp::Var<E> out;
        zp::ParameterRef parameter;
        void run(zp::Tape<E, D, P>& on) {
            const E* const dout = on.gradient_of(out);
            const zp::Gradient<E> into = on.contribute(parameter);
            if (on.is_measuring()) return;
            REQUIRE(dout != nullptr);
            for (std::size_t i = 0; i < parameter.shape.size(); ++i)
                into.data[i] = static_cast<E>(into.add ? into.data[i] + dout[i] : dout[i]);
        }
    };
    const zp::Var<E> out = tape.make(parameter.shape);
    if (!tape.is_measuring())
        std::copy_n(tape.values(parameter), parameter.shape.size(), out.data());
    if (tape.records()) tape.record(Node{{}, out, parameter});
    return out;
}

/// Loss = sum of fixed random weights times the value's elements.
template <zp::Scalar T, zp::Scalar E, zp::Device D, class P>
void objective(zp::Tape<E, D, P>& tape, zp::Var<T> x, std::uint64_t seed = 77) {
    struct Node : zp::Tape<E, D, P>::Node {
        zp::Var<T> x;
        std::uint64_t seed;
        void run(zp::Tape<E, D, P>& on) {
            const zp::Gradient<T> dx = on.contribute(x);
            if (on.is_measuring()) return;
            for (std::size_t i = 0; i < x.shape().size(); ++i) {
                const float weight = zp::normal_at(seed, 0, i) * on.loss_scale();
                dx.data[i] = static_cast<T>(dx.add ? dx.data[i] + weight : weight);
            }
        }
    };
    double sum = tape.loss().mean;
    for (std::size_t i = 0; !tape.is_measuring() && i < x.shape().size(); ++i)
        sum += static_cast<double>(x.data()[i]) * zp::normal_at(seed, 0, i);
    tape.set_loss({sum, 1});
    if (tape.records()) tape.record(Node{{}, x, seed});
}

/// Loss = sum of slopes, one an element, times the value's elements; it is not computed itself. The
/// slopes live until backward has run.
template <zp::Scalar E, zp::Device D, class P>
void given_slopes(zp::Tape<E, D, P>& tape, zp::Var<E> x, std::span<const float> slopes) {
    struct Node : zp::Tape<E, D, P>::Node {
        zp::Var<E> x;
        std::span<const float> slopes;
        void run(zp::Tape<E, D, P>& on) {
            const zp::Gradient<E> dx = on.contribute(x);
            if (on.is_measuring()) return;
            REQUIRE((!dx.add && slopes.size() == x.shape().size()));
            for (std::size_t i = 0; i < slopes.size(); ++i) dx.data[i] = static_cast<E>(slopes[i]);
        }
    };
    if (tape.records()) tape.record(Node{{}, x, slopes});
}

struct Run {
    double loss = 0;
    std::vector<std::vector<double>> gradients;
    std::size_t planned = 0, peak = 0, left = 0;
};

/// Runs `graph(tape)` forward and, with gradients, backward, in an arena as large as measured.
template <class E, class P, class Graph>
Run run(Weights<E>& weights, const Graph& graph, zp::RunOptions options = {}) {
    zp::Tape<E, zp::Host, P> tape;
    auto measure = zp::Arena<zp::Host>::measuring("measure");
    tape.measure(measure, options);
    graph(tape);
    if (options.gradients) tape.backward(1.0f);
    zp::Arena<zp::Host> arena{"activations", measure.peak()};
    tape.start(arena, zp::Units<E>{weights}, options);
    graph(tape);
    if (options.gradients) tape.backward(1.0f);
    Run result;
    result.planned = measure.peak();
    result.peak = arena.peak();
    result.left = arena.used();
    result.loss = tape.loss().mean;
    for (const auto& unit : weights.gradients)
        result.gradients.emplace_back(unit.begin(), unit.end());
    return result;
}

/// |a - b| / |b| over all elements.
inline double distance(const std::vector<double>& a, const std::vector<double>& b) {
    double difference = 0, size = 0;
    for (std::size_t i = 0; i < b.size(); ++i) {
        difference += (a[i] - b[i]) * (a[i] - b[i]);
        size += b[i] * b[i];
    }
    return std::sqrt(difference) / std::max(std::sqrt(size), 1e-30);
}

/// Every one of few parameter elements, and some 500 spread over many.
inline std::size_t stride_of(std::size_t elements) { return elements / 500 + 1; }

/// Central differences of the graph's loss, one for each `stride_of` elements of a unit.
template <class Graph>
std::vector<std::vector<double>> differences(Weights<double>& weights, const Graph& graph,
                                             zp::RunOptions options) {
    options.gradients = false;
    std::vector<std::vector<double>> result;
    for (auto& unit : weights.values) {
        auto& slopes = result.emplace_back();
        for (std::size_t i = 0; i < unit.size(); i += stride_of(unit.size())) {
            double& value = unit[i];
            const double before = value, step = 1e-5;
            value = before + step;
            const double up = run<double, zp::ReferenceProducts>(weights, graph, options).loss;
            value = before - step;
            const double down = run<double, zp::ReferenceProducts>(weights, graph, options).loss;
            value = before;
            slopes.push_back((up - down) / (2 * step));
        }
    }
    return result;
}

/// Backward in double equals central differences; fp32, bf16 and fp16 equal double but for
/// rounding.
template <class Graph>
void jacobian(const std::vector<std::size_t>& sizes, const Graph& graph,
              zp::RunOptions options = {}, double bf16_tolerance = 0.03) {
    // The same values in every precision: those that bf16 holds. (So does fp16: they are of some
    // 2^-14 to 4.)
    Weights<zp::Bf16> narrow{sizes};
    Weights<zp::Half> half{sizes};
    Weights<double> wide{sizes};
    Weights<float> single{sizes};
    for (std::size_t unit = 0; unit < sizes.size(); ++unit)
        for (std::size_t i = 0; i < sizes[unit]; ++i) {
            wide.values[unit][i] = single.values[unit][i] = float(narrow.values[unit][i]);
            half.values[unit][i] = zp::Half{float(narrow.values[unit][i])};
        }

    const Run exact = run<double, zp::ReferenceProducts>(wide, graph, options);
    CHECK(exact.planned == exact.peak);
    const auto slopes = differences(wide, graph, options);
    const Run in_fp32 = run<float, zp::ReferenceProducts>(single, graph, options);
    const Run in_bf16 = run<zp::Bf16, zp::ReferenceProducts>(narrow, graph, options);
    const Run in_fp16 = run<zp::Half, zp::ReferenceProducts>(half, graph, options);
    CHECK(in_fp32.planned == in_fp32.peak);
    CHECK(in_bf16.planned == in_bf16.peak);
    CHECK(in_fp16.planned == in_fp16.peak);
    for (std::size_t unit = 0; unit < sizes.size(); ++unit) {
        // Differences with step 1e-5 are exact to 1e-10 and rounded to 1e-16 / 1e-5.
        std::vector<double> sampled;
        for (std::size_t i = 0; i < sizes[unit]; i += stride_of(sizes[unit]))
            sampled.push_back(exact.gradients[unit][i]);
        CHECK(distance(sampled, slopes[unit]) < 1e-7);
        // fp32 rounds each operation by 6e-8.
        CHECK(distance(in_fp32.gradients[unit], exact.gradients[unit]) < 3e-6);
        CHECK(distance(in_bf16.gradients[unit], exact.gradients[unit]) < bf16_tolerance);
        // Three bits more than bf16 has.
        CHECK(distance(in_fp16.gradients[unit], exact.gradients[unit]) < bf16_tolerance / 8);
    }
    CHECK(in_fp32.loss == Approx(exact.loss).epsilon(1e-5).margin(1e-5));
}

}  // namespace check
