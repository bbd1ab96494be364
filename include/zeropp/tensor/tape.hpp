// SPDX-License-Identifier: Apache-2.0
/// \file `Tape`: records operations as they run, and runs their backward in reverse.
///
///     zp::Tape<float, zp::Host, zp::OneDnn> tape{products};   // once, with the model
///     tape.start(arena, zp::Units<float>{observer}, {.seed = seed, .ordinals = ordinals});
///     tape.enter(0);                                          // observer.use(0)
///     auto x = zp::embedding(tape, ids, examples, {0, 0, {vocabulary, width}});
///     tape.keep_gradient(x);                                  // read by units other than its own
///     tape.leave(0);                                          // observer.release(0)
///     tape.enter(1);
///     auto h = zp::rms_norm(tape, x, {1, 0, {width}}, 1e-6f);
///     x = zp::residual_add(tape, x, zp::linear(tape, h, {1, 512, {width, width}}));
///     tape.leave(1);
///     ...
///     zp::cross_entropy(tape, x, {2, 0, {vocabulary, width}}, labels);
///     tape.backward(1.0f);                                    // gradients through the observer
///     tape.loss();                                            // mean, tokens
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

#include <zeropp/core/error.hpp>
#include <zeropp/device/arena.hpp>
#include <zeropp/device/concepts.hpp>
#include <zeropp/device/products.hpp>
#include <zeropp/tensor/gradient.hpp>
#include <zeropp/tensor/node_store.hpp>
#include <zeropp/tensor/tensor.hpp>
#include <zeropp/tensor/units.hpp>
#include <zeropp/tensor/var.hpp>

namespace zeropp {

/// Memory: values are taken from the arena in order; backward gives a unit's values back, and the
/// gradients made since, when it passes the unit's `enter`. A gradient that outlives a unit (the
/// residual stream, an encoder's output) must be reserved where the value is made, with
/// `keep_gradient`; backward fails by name where that was forgotten.
///
/// On a measuring arena everything is recorded and taken and nothing computed, no observer is
/// called and no input is read: its peak is the peak of a run of the same shapes.
/// Records live in the tape; a run no longer than an earlier one allocates nothing.
template <Scalar E, Device D, class P>
requires Products<P, E>
class Tape {
public:
    using Element = E;

    explicit Tape(P products = {}, D device = {})
        : products_{std::move(products)}, device_{device} {}
    Tape(const Tape&) = delete;
    Tape& operator=(const Tape&) = delete;
    Tape(Tape&&) = default;
    Tape& operator=(Tape&&) = default;

    /// Begins a run; every earlier handle is void. Borrows the arena, which it takes from where it
    /// stands (give it back by your own mark), and the options' spans.
    void start(Arena<D>& arena, Units<E> units, RunOptions options = {}) {
        store_.clear();
        arena_ = &arena;
        units_ = units;
        options_ = options;
        last_ = nullptr;
        entered_ = nullptr;
        spans_ = enters_ = 0;
        paused_ = false;
        loss_ = {};
        if constexpr (ObservesUnits<P>) products_.begin_run();
        const std::span<float> memory =
            arena.template take<float>(products_.template workspace<E>());
        products_.use_workspace(memory);
    }
    /// A run that only counts memory.
    void measure(Arena<D>& arena, RunOptions options = {}) {
        require(arena.is_measuring(), Errc::config, "Tape::measure: arena '", arena.name(),
                "' holds memory, expected a measuring arena");
        start(arena, {}, options);
    }

    void enter(std::size_t unit) {
        Entered* const entered = store_.make(Entered{});
        entered->unit = unit;
        entered->outer = entered_;
        entered->span = ++spans_;
        entered->mark = arena_->mark();
        if (!is_measuring()) {
            suspend();
            entered->values = units_.use(unit);
            note_enter(unit, false);
        }
        entered_ = entered;
        if (!records()) return;
        entered->enters_before = enters_++;
        record(EnterNode{{}, entered});
    }
    /// Units nest: the innermost one entered is left first.
    void leave(std::size_t unit) {
        require(entered_ != nullptr && entered_->unit == unit, Errc::config, "Tape::leave: unit ",
                unit, " is left, expected the one entered last");
        if (!is_measuring()) {
            suspend();
            units_.release(unit);
            note_leave();
        }
        if (records()) record(LeaveNode{{}, entered_});
        entered_ = entered_->outer;
    }

    /// Runs backward what was recorded; gradients are those of `loss_scale` * mean loss.
    void backward(float loss_scale) {
        require(entered_ == nullptr, Errc::config,
                "Tape::backward: a unit is still entered, expected ", "leave of every one");
        loss_scale_ = loss_scale;
        run_backward();
        last_ = nullptr;
    }
    /// Of the `cross_entropy` of this run: known after `backward`, or at once if the run has none.
    MeanLoss loss() const noexcept { return loss_; }

    /// The value's gradient outlives the unit that contributes to it first.
    template <Scalar T>
    void keep_gradient(Var<T> var) {
        if (records() && var.value()->gradient == nullptr && !var.value()->constant)
            var.value()->gradient = take<T>(var.shape().size());
    }
    /// The user's own memory as a value.
    template <Scalar T>
    Var<T> input(T* data, Shape shape) {
        return make(data, shape);
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

    // What operations are written with.

    /// A record of one operation; `backward` is called with the record and the tape.
    struct Node {
        void (*backward)(Node&, Tape&) = nullptr;
        Node* before = nullptr;
    };
    /// `N` derives from Node and has `void run(Tape&)`. Call only if `records()`.
    template <class N>
    void record(N node) {
        N* const kept = store_.make(node);
        kept->backward = [](Node& self, Tape& tape) { static_cast<N&>(self).run(tape); };
        kept->before = last_;
        last_ = kept;
    }
    bool records() const noexcept { return options_.gradients && !paused_; }
    /// Runs `body` without recording; its values may be given back to the arena.
    template <class Body>
    void unrecorded(Body body) {
        const bool before = std::exchange(paused_, true);
        body();
        paused_ = before;
    }
    /// For a record's run: enters the unit, records what `body` does in it, and runs that backward
    /// at once. The unit is used once for both.
    template <class Body>
    void replay(std::size_t unit, Body body) {
        Node* const before = std::exchange(last_, nullptr);
        const std::uint32_t enters_before = enters_before_;
        enter(unit);
        body();
        if (!is_measuring()) {
            suspend();
            entered_->gradients = units_.gradient(unit);
            note_leave();
            note_enter(unit, true);
        }
        run_backward();
        enters_before_ = enters_before;
        last_ = before;
    }
    bool is_measuring() const noexcept { return arena_->is_measuring(); }
    const RunOptions& options() const noexcept { return options_; }
    float loss_scale() const noexcept { return loss_scale_; }
    void set_loss(MeanLoss loss) noexcept { loss_ = loss; }
    P& products() noexcept { return products_; }
    const P& products() const noexcept { return products_; }
    D device() const noexcept { return device_; }
    Arena<D>& arena() noexcept { return *arena_; }
    NodeStore& store() noexcept { return store_; }

    template <class T>
    T* take(std::size_t count) {
        return arena_->template take<T>(count).data();
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
        value.span = entered_ == nullptr ? 0 : entered_->span;
        value.enters_before = enters_;
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

    /// The parameter's elements. Its unit must be entered, in forward and backward.
    const E* values(const ParameterRef& parameter) const {
        return is_measuring() ? nullptr : place(parameter, entered_of(parameter).values);
    }
    /// Where the parameter's next contribution goes; null if nothing in its unit is trainable.
    Gradient<E> contribute(const ParameterRef& parameter) {
        Entered& entered = entered_of(parameter);
        const bool written = is_written(entered, parameter);
        if (!written)
            entered.written =
                store_.make(Written{parameter.offset, parameter.shape.size(), entered.written});
        if (is_measuring() || entered.gradients.empty()) return {};
        return {place(parameter, entered.gradients), written};
    }

private:
    struct Written {
        std::size_t offset, size;
        const Written* before;
    };
    struct Entered {
        std::size_t unit = 0, mark = 0;
        std::uint32_t span = 0, enters_before = 0;
        Entered* outer = nullptr;
        std::span<const E> values;
        std::span<E> gradients;
        const Written* written = nullptr;
    };
    struct EnterNode : Node {
        Entered* entered;
        void run(Tape& tape) {
            tape.entered_ = entered->outer;
            tape.enters_before_ = entered->enters_before;
            tape.arena_->release(entered->mark);
            if (tape.is_measuring()) return;
            tape.fill_unwritten(*entered);
            tape.suspend();
            tape.units_.ready(entered->unit);
            tape.units_.release(entered->unit);
            tape.note_leave();
        }
        EnterNode(Node node, Entered* of) : Node{node}, entered{of} {}
    };
    struct LeaveNode : Node {
        Entered* entered;
        void run(Tape& tape) {
            tape.entered_ = entered;
            if (tape.is_measuring()) return;
            tape.suspend();
            entered->values = tape.units_.use(entered->unit);
            entered->gradients = tape.units_.gradient(entered->unit);
            tape.note_enter(entered->unit, true);
        }
        LeaveNode(Node node, Entered* of) : Node{node}, entered{of} {}
    };

    void run_backward() {
        enters_before_ = enters_;
        for (Node* node = last_; node != nullptr; node = node->before) node->backward(*node, *this);
    }
    void suspend() {
        if constexpr (ObservesUnits<P>) products_.suspend();
    }
    void note_enter(std::size_t unit, bool backward) {
        if constexpr (ObservesUnits<P>) products_.enter_unit(unit, backward);
    }
    void note_leave() {
        if constexpr (ObservesUnits<P>) products_.leave_unit();
    }

    template <Scalar T>
    void check_outlives(const Value<T>& value) const {
        require(
            value.span == (entered_ == nullptr ? 0 : entered_->span), Errc::config,
            "Tape::backward: a value of shape ", value.tensor.shape,
            " has its first gradient in another unit than its own, expected keep_gradient where "
            "it was made");
        require(value.enters_before == enters_before_, Errc::config,
                "Tape::backward: a value of shape ", value.tensor.shape,
                " has its first gradient after a unit that was entered after it was made, expected "
                "keep_gradient where it was made");
    }
    template <Scalar T>
    void check_not_taken(const Value<T>& value) const {
        require(!value.taken, Errc::config, "Tape::backward: a value of shape ", value.tensor.shape,
                " was read after an operation in place took it over, expected no reader");
    }
    Entered& entered_of(const ParameterRef& parameter) const {
        for (Entered* entered = entered_; entered != nullptr; entered = entered->outer)
            if (entered->unit == parameter.unit) return *entered;
        fail(Errc::config, "Tape: a parameter of unit ", parameter.unit,
             " is used, expected the unit to be entered");
    }
    template <class T>
    T* place(const ParameterRef& parameter, std::span<T> unit) const {
        require(parameter.offset + parameter.shape.size() <= unit.size(), Errc::shape,
                "Tape: unit ", parameter.unit, " has ", unit.size(),
                " elements, expected at least ", parameter.offset + parameter.shape.size());
        return unit.data() + parameter.offset;
    }
    static bool is_written(const Entered& entered, const ParameterRef& parameter) {
        for (const Written* one = entered.written; one != nullptr; one = one->before)
            if (one->offset == parameter.offset) return true;
        return false;
    }
    /// A parameter that nothing depends on has gradient zero.
    void fill_unwritten(const Entered& entered) const {
        for (std::size_t at = 0; at < entered.gradients.size();) {
            std::size_t first = entered.gradients.size(), next = first;  // written, from `at` on
            for (const Written* one = entered.written; one != nullptr; one = one->before)
                if (at <= one->offset && one->offset < first) {
                    first = one->offset;
                    next = first + one->size;
                }
            device_.fill_zero(reinterpret_cast<std::byte*>(entered.gradients.data() + at),
                              (first - at) * sizeof(E));
            at = next;
        }
    }

    P products_;
    D device_;
    NodeStore store_;
    Arena<D>* arena_ = nullptr;
    Units<E> units_;
    RunOptions options_;
    Node* last_ = nullptr;
    Entered* entered_ = nullptr;
    std::uint32_t spans_ = 0, enters_ = 0;  ///< so far: all, and those recorded
    std::uint32_t enters_before_ = 0;       ///< recorded before the node that runs
    bool paused_ = false;
    float loss_scale_ = 1;
    MeanLoss loss_;
};

}  // namespace zeropp
