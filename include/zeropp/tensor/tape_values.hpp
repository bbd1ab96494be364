// SPDX-License-Identifier: Apache-2.0
/// \file `TapeValues`: the values of a tape in an arena and, in backward, their gradients.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

#include <zeropp/core/error.hpp>
#include <zeropp/device/arena.hpp>
#include <zeropp/device/concepts.hpp>
#include <zeropp/tensor/gradient.hpp>
#include <zeropp/tensor/node_store.hpp>
#include <zeropp/tensor/scalar.hpp>
#include <zeropp/tensor/tensor.hpp>
#include <zeropp/tensor/var.hpp>

namespace zeropp {

/// The part of `Tape` that operations take memory from. Unless it was reserved, a gradient is taken
/// where it is first contributed to; so it must not outlive a unit that is entered after its value
/// was made.
template <Scalar E, Device D>
class TapeValues {
public:
    const RunOptions& options() const noexcept { return options_; }
    bool is_measuring() const noexcept { return arena_->is_measuring(); }
    bool records() const noexcept { return options_.gradients && !paused_; }
    Arena<D>& arena() noexcept { return *arena_; }
    NodeStore& store() noexcept { return store_; }

    template <class T>
    T* take(std::size_t count) {
        return arena_->template take<T>(count).data();
    }
    /// The user's own memory as a value.
    template <Scalar T>
    Var<T> input(T* data, Shape shape) {
        return make(data, shape);
    }
    /// A value is of the weights' type, or of their residual stream's.
    template <Scalar T = E>
    Var<T> make(Shape shape) {
        return make(take<T>(shape.size()), shape);
    }
    template <Scalar T>
    Var<T> make(T* data, Shape shape) {
        Value<T> value;
        value.tensor = {data, shape};
        value.span = at_.span;
        value.enters_before = at_.enters_before;
        return Var<T>{store_.make(value)};
    }
    /// A value in the memory of another, which no later operation may read; it shares a reserved
    /// gradient.
    template <Scalar T>
    Var<T> make_from(Var<T> memory, Var<T> stream) {
        const Var<T> var = make(memory.data(), memory.shape());
        var.value()->gradient = stream.value()->gradient;
        memory.value()->taken = stream.value()->taken = true;
        return var;
    }

    /// The value's gradient outlives the unit that contributes to it first.
    template <Scalar T>
    void keep_gradient(Var<T> var) {
        if (records() && var.value()->gradient == nullptr && !var.value()->constant)
            var.value()->gradient = take<T>(var.shape().size());
    }
    /// `body()` computes a value that nothing trainable has part in: without records, and backward
    /// stops at it.
    template <class Body>
    auto constant(Body body) {
        const bool before = std::exchange(paused_, true);
        const auto y = body();
        paused_ = before;
        y.value()->constant = true;
        return y;
    }
    /// Runs `body` without recording; its values may be given back to the arena.
    template <class Body>
    void unrecorded(Body body) {
        const bool before = std::exchange(paused_, true);
        body();
        paused_ = before;
    }

    /// What backward has for the value; null if nothing depends on it.
    template <Scalar T>
    const T* gradient_of(Var<T> var) const noexcept {
        return var.value()->written ? var.value()->gradient : nullptr;
    }
    /// Where the next contribution goes. The caller makes it at once. Null for a constant.
    template <Scalar T>
    Gradient<T> contribute(Var<T> var) {
        Value<T>& value = *var.value();
        if (value.constant) return {};
        check_not_taken(value);
        if (value.gradient == nullptr) {
            check_outlives(value);
            value.gradient = take<T>(value.tensor.size());
        }
        return {value.gradient, std::exchange(value.written, true)};
    }
    /// `contribute` of the operation that took the value over.
    template <Scalar T>
    Gradient<T> contribute_taken(Var<T> var) {
        var.value()->taken = false;
        return contribute(var);
    }
    /// As `contribute_taken(to)`, for an operation of one input that can change the gradient of its
    /// result in place: gives that memory itself, to be written, where `to` has none yet.
    template <Scalar T>
    Gradient<T> pass_on(Var<T> from, Var<T> to) {
        Value<T>&source = *from.value(), &target = *to.value();
        target.taken = false;
        if (target.constant) return {source.gradient, false};  // nobody reads it
        if (target.written) return {target.gradient, true};
        if (target.gradient == nullptr) {
            check_outlives(target);
            target.gradient = source.gradient;
        }
        target.written = true;
        return {target.gradient, false};
    }

protected:
    /// Where the tape stands, forward and backward.
    struct Place {
        std::uint32_t span = 0;           ///< of the innermost open unit; 0: none
        std::uint32_t enters_before = 0;  ///< units entered on the record so far
    };

    NodeStore store_;
    Arena<D>* arena_ = nullptr;
    RunOptions options_;
    bool paused_ = false;  ///< nothing is recorded
    Place at_;

private:
    template <Scalar T>
    void check_outlives(const Value<T>& value) const {
        require(value.span == at_.span, Errc::config, "Tape::backward: a value of shape ",
                value.tensor.shape,
                " has its first gradient in another unit than its own, expected keep_gradient "
                "where it was made");
        require(value.enters_before == at_.enters_before, Errc::config,
                "Tape::backward: a value of shape ", value.tensor.shape,
                " has its first gradient after a unit that was entered after it was made, expected "
                "keep_gradient where it was made");
    }
    template <Scalar T>
    void check_not_taken(const Value<T>& value) const {
        require(!value.taken, Errc::config, "Tape::backward: a value of shape ", value.tensor.shape,
                " was read after an operation in place took it over, expected no reader");
    }
};

}  // namespace zeropp
