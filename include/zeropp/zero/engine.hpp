// SPDX-License-Identifier: Apache-2.0
/// \file The ZeRO engine: a model runs against it as a `UnitObserver`; a step is reduce, measure,
/// clip, update, publish, written once for all stages.
///
/// Law: with equal policies, all stages and all communicators leave the same bits.
#pragma once

#include <algorithm>
#include <cmath>
#include <span>
#include <utility>
#include <vector>

#include <zeropp/comm/concepts.hpp>
#include <zeropp/core/phase_clock.hpp>
#include <zeropp/core/plan.hpp>
#include <zeropp/model/concepts.hpp>
#include <zeropp/optim/schedule.hpp>
#include <zeropp/zero/exchange.hpp>
#include <zeropp/zero/gradients.hpp>
#include <zeropp/zero/non_finite.hpp>
#include <zeropp/zero/parameters.hpp>
#include <zeropp/zero/state.hpp>
#include <zeropp/zero/step.hpp>
#include <zeropp/zero/totals.hpp>
#include <zeropp/zero/weights.hpp>

namespace zeropp {

template <Element E, Device D, Communicator C, Stage S>
class Engine final : public UnitObserver<E> {
public:
    template <TrainerOptimizer O>
    Engine(std::vector<Unit> units, C& comm, D device, const O& optimizer, AnySchedule schedule,
           const EngineOptions& options, std::size_t model_bytes = 0)
        : units_{options.get<ParameterGroups>().assigned(std::move(units))},
          comm_{comm},
          device_{device},
          options_{options},
          schedule_{std::move(schedule)},
          layout_{units_, Topology{.shard = static_cast<std::size_t>(comm.size())},
                  options.get<Buckets>().elements},
          how_{flags_of<S>, dtype_of<E>, options},
          scaler_{std::same_as<E, Half> ? LossScaler{options.get<LossScale>()} : LossScaler{}},
          optimizer_plan_{*make_rule(optimizer), layout_, units_, options.get<OptimizerStates>()},
          state_plan_{layout_, flags_of<S>, how_, optimizer_plan_},
          plan_{checked_plan(model_bytes)},
          parameters_{layout_, comm_, state_plan_, device},
          gradients_{layout_, comm_, how_, state_plan_, device},
          state_{layout_,
                 units_,
                 make_updaters<E>(device, optimizer, options.get<ParameterGroups>()),
                 optimizer_plan_,
                 state_plan_,
                 S::shards_optimizer,
                 device},
          exchange_{comm_, state_plan_.doubles, state_plan_.exchange, workspace(), device},
          non_finite_{units_,     layout_,   device,
                      gradients_, exchange_, options.get<SkipNonFinite>()} {}
    Engine(const Engine&) = delete;
    Engine& operator=(const Engine&) = delete;
    /// Peers may still be reading this rank's memory: it stays until they are done or gone. So it
    /// does while an exception passes: what this rank has started its peers start too, or have
    /// failed themselves.
    ~Engine() {
        try {
            settle();
        } catch (...) {  // the world has failed, and says so where the failure is
        }
    }

    std::span<const E> use(std::size_t unit) override {
        const PhaseClock::Scope waiting{phases_, Phase::gather};
        require(!backward_ || !units_.at(unit).forward_only, Errc::config, "Trainer: unit '",
                units_.at(unit).name, "' is used in backward, expected it in forward alone, as ",
                "Unit::forward_only says");
        return parameters_.use(unit);
    }
    void release(std::size_t unit) override { parameters_.release(unit); }
    std::span<E> gradient(std::size_t unit) override {
        if (!backward_) {
            parameters_.begin_backward();
            phases_.enter(Phase::backward);
        }
        backward_ = true;
        const PhaseClock::Scope waiting{phases_, Phase::reduction};
        return gradients_.acquire(unit);
    }
    void ready(std::size_t unit) override {
        const PhaseClock::Scope waiting{phases_, Phase::reduction};
        gradients_.ready(unit);
    }

    /// As `WeightAccess` has it.
    template <class Read>
    void fill(Read read) {
        weights().fill(std::move(read));
    }

    /// After a micro-step that has failed the step begins anew, with its first micro-step.
    void begin_micro_step() {
        phases_.enter(Phase::forward);
        if (open_) {
            settle();
            gradients_.abandon();
            micro_ = 0;
            loss_ = 0;
            tokens_ = 0;
        }
        open_ = true;
        backward_ = false;
        parameters_.begin_pass(true);
        gradients_.begin_micro_step(micro_);
    }
    /// The factor that each micro-step's loss is multiplied by before backward.
    float loss_scale() const { return scaler_.scale() / static_cast<float>(how_.micro_steps); }

    /// Collective after the last micro-step of a step; local before.
    Step end_micro_step(Loss loss) {
        phases_.enter(Phase::reduction);
        gradients_.finish_micro_step();
        parameters_.end_pass();
        loss_ += loss.mean() / how_.micro_steps;
        tokens_ += loss.tokens;
        Step step{.index = index_, .loss = loss.mean(), .tokens = loss.tokens};
        if (++micro_ == how_.micro_steps) {
            step = update(std::exchange(loss_, 0), std::exchange(tokens_, 0));
            micro_ = 0;
        }
        open_ = false;
        phases_.enter(Phase::other);
        return step;
    }

    /// A forward pass without gradients.
    template <class Run>
    auto observe(Run run) {
        backward_ = false;
        parameters_.begin_pass(false);
        auto result = run(static_cast<UnitObserver<E>&>(*this));
        parameters_.end_pass();
        return result;
    }

    /// Collective. As `WeightAccess` has it.
    template <class Visit>
    void for_each_weight(Visit visit) {
        weights().for_each(std::move(visit));
    }

    /// Collective: over all ranks' tokens.
    Loss combine(Loss loss) { return total_loss(exchange_, loss); }

    /// Waits until every started operation of this rank is done.
    void settle() {
        gradients_.settle();
        parameters_.settle();
    }

    /// Where the time of steps goes; stopped until it is started.
    PhaseClock& phases() noexcept { return phases_; }
    const MemoryPlan& plan() const noexcept { return plan_; }
    const Layout& layout() const noexcept { return layout_; }
    const std::vector<Unit>& units() const noexcept { return units_; }
    std::int64_t index() const noexcept { return index_; }
    std::int64_t skipped() const noexcept { return non_finite_.skipped(); }
    const LossScaler& scaler() const noexcept { return scaler_; }
    std::size_t bytes_used() const {
        return parameters_.bytes_used() + gradients_.bytes_used() + state_.bytes_used() +
               exchange_.bytes_used();
    }
    std::size_t bytes_reserved() const {
        return parameters_.bytes_reserved() + gradients_.bytes_reserved() +
               state_.bytes_reserved() + exchange_.bytes_reserved();
    }

private:
    WeightAccess<E, D, C, S> weights() {
        return {units_, layout_, comm_, device_, parameters_, state_};
    }
    std::size_t first_owned(std::size_t b) const {
        return first_owned_by<S>(layout_.buckets()[b], comm_.rank());
    }
    std::size_t workspace() const {
        const std::size_t each = comm_.workspace_bytes(state_plan_.largest_reduced * sizeof(E));
        return Arena<D>::rounded(each) * StatePlan::in_flight;
    }

    /// `model_bytes`: what the model allocates beside it.
    MemoryPlan checked_plan(std::size_t model_bytes) const {
        Updater<E, D>::require_formats(optimizer_plan_.slots);
        MemoryPlan plan = state_plan_.table(workspace());
        require_within(options_.get<MemoryLimit>(), comm_.rank(), plan.total() + model_bytes,
                       [&](StageFlags stage) {
                           const GradientPlan how{stage, dtype_of<E>, options_};
                           const StatePlan other{layout_, stage, how, optimizer_plan_};
                           return other.table(workspace()).total() + model_bytes;
                       });
        return plan;
    }

    /// `local_loss`: the mean of the micro-steps' means.
    Step update(double local_loss, std::int64_t local_tokens) {
        const StepTotals all =
            step_totals(layout_, device_, gradients_, exchange_, local_loss, local_tokens);
        phases_.enter(Phase::update);
        Step step{
            .index = index_, .loss = all.loss, .tokens = all.tokens, .loss_scale = scaler_.scale()};
        step.gradient_norm = std::sqrt(all.squares) / scaler_.scale();
        step.rates = rates_of(index_ + 1, 0);
        if (!is_finite(all.squares)) return non_finite_.skip(step, all.bad_loss, scaler_);
        non_finite_.finite();

        double scale = 1.0 / scaler_.scale();
        if (const float most = options_.get<ClipNorm>().max_norm; most > 0) {
            const double ratio = (step.gradient_norm + 1e-6) / most;
            if (ratio > 1) scale /= ratio;
        }
        // What can be refused is, before anything changes.
        for (std::size_t group = 0; group < state_.groups(); ++group)
            state_.rule(group).begin({.index = index_ + 1, .rates = rates_of(index_ + 1, group)});
        ++index_;
        apply(static_cast<float>(scale));
        scaler_.update(false);
        step.index = index_;
        step.updated = true;
        return step;
    }

    /// Collective in stages 1 and 2, and where the optimizer measures tensors: every rank its own
    /// shard, in all stages.
    void apply(float scale) {
        const std::size_t buckets = layout_.buckets().size();
        gradients_.typed([&](auto tag) {
            using G = decltype(tag);
            for (std::size_t round = 0; round < state_.rule().rounds(); ++round) {
                const std::span<double> sums = exchange_.mine().first(state_.sums_of(round));
                std::fill(sums.begin(), sums.end(), 0.0);
                for (std::size_t b = 0; b < buckets; ++b)
                    if (layout_.buckets()[b].trainable)
                        state_.template measure<G>(
                            round, b, first_owned(b),
                            layout_.buckets()[b].first_of_shard(comm_.rank()), scale,
                            parameters_.owned(b), gradients_.template shard<G>(b), sums);
                exchange_(sums.size());
                state_.combine(round, comm_.size(), [&](int r) { return exchange_.of_rank(r); });
            }
            for (std::size_t b = 0; b < buckets; ++b) {
                if (!layout_.buckets()[b].trainable) continue;
                state_.template update<G>(b, first_owned(b), index_, scale, parameters_.owned(b),
                                          gradients_.template owned<G>(b));
                parameters_.publish(b);
            }
        });
    }

    Rates rates_of(std::int64_t index, std::size_t group) {
        return checked_rates(schedule_, index, state_.rule(group).rates());
    }

    std::vector<Unit> units_;
    C& comm_;
    D device_;
    EngineOptions options_;
    AnySchedule schedule_;
    Layout layout_;
    GradientPlan how_;
    LossScaler scaler_;
    OptimizerPlan optimizer_plan_;
    StatePlan state_plan_;
    MemoryPlan plan_;
    ParameterStore<E, S, C, D> parameters_;
    GradientStore<E, S, C, D> gradients_;
    OptimizerState<E, D> state_;
    Exchange<C, D> exchange_;
    NonFiniteSteps<E, D, C, S> non_finite_;
    PhaseClock phases_;
    std::int64_t index_ = 0;
    int micro_ = 0;
    bool open_ = false;  ///< a micro-step has begun and not ended
    bool backward_ = false;
    double loss_ = 0;
    std::int64_t tokens_ = 0;
};

}  // namespace zeropp
