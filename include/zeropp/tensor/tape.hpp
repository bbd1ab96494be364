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
#include <zeropp/device/products.hpp>
#include <zeropp/tensor/open_unit.hpp>
#include <zeropp/tensor/tape_values.hpp>
#include <zeropp/tensor/units.hpp>

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
class Tape : public TapeValues<E, D> {
    using Values = TapeValues<E, D>;
    using Values::arena_;
    using Values::at_;
    using Values::options_;
    using Values::paused_;
    using Values::store_;

public:
    using Element = E;
    using Values::is_measuring;
    using Values::records;

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
        at_ = {};
        units_ = units;
        options_ = options;
        last_ = nullptr;
        open_ = nullptr;
        spans_ = 0;
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
        Open* const open = store_.make(Open{});
        open->unit = unit;
        open->outer = open_;
        open->span = ++spans_;
        open->enters_before = at_.enters_before;
        open->mark = arena_->mark();
        if (!is_measuring()) {
            suspend();
            open->values = units_.use(unit);
            note_enter(unit, false);
        }
        stand_in(open);
        if (!records()) return;
        ++at_.enters_before;
        record(EnterNode{{}, open});
    }
    /// Units nest: the innermost one entered is left first.
    void leave(std::size_t unit) {
        require(open_ != nullptr && open_->unit == unit, Errc::config, "Tape::leave: unit ", unit,
                " is left, expected the one entered last");
        if (!is_measuring()) {
            suspend();
            units_.release(unit);
            note_leave();
        }
        if (records()) record(LeaveNode{{}, open_});
        stand_in(open_->outer);
    }

    /// Runs backward what was recorded; gradients are those of `loss_scale` * mean loss.
    void backward(float loss_scale) {
        require(open_ == nullptr, Errc::config,
                "Tape::backward: a unit is still entered, expected ", "leave of every one");
        loss_scale_ = loss_scale;
        run_backward();
        last_ = nullptr;
    }
    /// Of the `cross_entropy` of this run: known after `backward`, or at once if the run has none.
    MeanLoss loss() const noexcept { return loss_; }

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
    /// For a record's run: enters the unit, records what `body` does in it, and runs that backward
    /// at once. The unit is used once for both.
    template <class Body>
    void replay(std::size_t unit, Body body) {
        Node* const before = std::exchange(last_, nullptr);
        enter(unit);
        body();
        if (!is_measuring()) {
            suspend();
            open_->gradients = units_.gradient(unit);
            note_leave();
            note_enter(unit, true);
        }
        run_backward();
        last_ = before;
    }
    float loss_scale() const noexcept { return loss_scale_; }
    void set_loss(MeanLoss loss) noexcept { loss_ = loss; }
    P& products() noexcept { return products_; }
    const P& products() const noexcept { return products_; }
    D device() const noexcept { return device_; }

    /// The parameter's elements. Its unit must be entered, in forward and backward.
    const E* values(const ParameterRef& parameter) const {
        return is_measuring() ? nullptr : Open::of(parameter, open_).values_of(parameter);
    }
    using Values::contribute;
    /// Where the parameter's next contribution goes; null if it has no gradient.
    Gradient<E> contribute(const ParameterRef& parameter) {
        return Open::of(parameter, open_).contribute(parameter, store_);
    }

private:
    using Open = OpenUnit<E>;

    struct EnterNode : Node {
        Open* open;
        void run(Tape& tape) {
            tape.stand_in(open->outer);
            tape.at_.enters_before = open->enters_before;
            tape.arena_->release(open->mark);
            if (tape.is_measuring()) return;
            open->fill_unwritten(tape.device_);
            tape.suspend();
            tape.units_.ready(open->unit);
            tape.units_.release(open->unit);
            tape.note_leave();
        }
        EnterNode(Node node, Open* of) : Node{node}, open{of} {}
    };
    struct LeaveNode : Node {
        Open* open;
        void run(Tape& tape) {
            tape.stand_in(open);
            if (tape.is_measuring()) return;
            tape.suspend();
            open->values = tape.units_.use(open->unit);
            open->gradients = tape.units_.gradient(open->unit);
            tape.note_enter(open->unit, true);
        }
        LeaveNode(Node node, Open* of) : Node{node}, open{of} {}
    };

    void run_backward() {
        for (Node* node = last_; node != nullptr; node = node->before) node->backward(*node, *this);
    }
    void stand_in(Open* innermost) {
        open_ = innermost;
        at_.span = innermost == nullptr ? 0 : innermost->span;
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

    P products_;
    D device_;
    Units<E> units_;
    Node* last_ = nullptr;
    Open* open_ = nullptr;
    std::uint32_t spans_ = 0;  ///< so far
    float loss_scale_ = 1;
    MeanLoss loss_;
};

}  // namespace zeropp
