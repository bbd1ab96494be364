// SPDX-License-Identifier: Apache-2.0
/// \file What operations on a tape take and give: values, parameters, options, the loss.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include <zeropp/tensor/scalar.hpp>
#include <zeropp/tensor/tensor.hpp>

namespace zeropp {

/// A parameter by its place: elements `offset` .. of a unit, as `parameter_offset` lays them out.
/// Parameters that stand back to back may be named as one. Two references to the same place are the
/// same parameter; their gradients add up. Places must not overlap otherwise.
struct ParameterRef {
    std::size_t unit = 0, offset = 0;
    Shape shape;
};

/// A value on the tape: activations in the tape's arena, and what backward knows of their gradient.
template <Scalar E>
struct Value {
    Tensor<E> tensor;
    E* gradient = nullptr;  ///< same shape; reserved ahead by `keep_gradient`, else taken on demand
    bool written = false;   ///< the gradient holds a first contribution
    bool constant = false;  ///< backward wants no gradient of it
    bool taken = false;     ///< an operation in place took it over: not to be read any more
    std::uint32_t span = 0;           ///< the enter .. leave that it was made in
    std::uint32_t enters_before = 0;  ///< units entered on the record before it was made
};

/// A handle of a value; copies name the same one. Valid until the tape is started again.
template <Scalar E>
class Var {
public:
    Var() = default;
    explicit Var(Value<E>* value) : value_{value} {}
    const Tensor<E>& tensor() const noexcept { return value_->tensor; }
    const Shape& shape() const noexcept { return value_->tensor.shape; }
    E* data() const noexcept { return value_->tensor.data; }
    Value<E>* value() const noexcept { return value_; }
    explicit operator bool() const noexcept { return value_ != nullptr; }

private:
    Value<E>* value_ = nullptr;
};

struct RunOptions {
    bool gradients = true;                         ///< off: no backward, nothing is recorded
    std::uint64_t seed = 0;                        ///< of dropout
    std::span<const std::uint64_t> ordinals = {};  ///< of the examples of the batch, for dropout
};

/// The mean over `tokens` counted labels.
struct MeanLoss {
    double mean = 0;
    std::int64_t tokens = 0;
};

}  // namespace zeropp
