// SPDX-License-Identifier: Apache-2.0
/// \file The ZeRO engine: a model runs against it as a `UnitObserver`; a step is reduce, measure,
/// clip, update, publish, written once for all stages.
///
/// Law: with equal policies, all stages and all communicators leave the same bits.
#pragma once

#include <algorithm>
#include <cmath>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <zeropp/comm/concepts.hpp>
#include <zeropp/core/phase_clock.hpp>
#include <zeropp/core/plan.hpp>
#include <zeropp/model/concepts.hpp>
#include <zeropp/optim/schedule.hpp>
#include <zeropp/zero/exchange.hpp>
#include <zeropp/zero/gradients.hpp>
#include <zeropp/zero/parameters.hpp>
#include <zeropp/zero/state.hpp>
#include <zeropp/zero/step.hpp>
#include <zeropp/zero/weights.hpp>

namespace zeropp {

template <Element E, Device D, Communicator C, Stage S>
class Engine final : public UnitObserver<E> {
public:
    template <TrainerOptimizer O>
    Engine(std::vector<Unit> units, C& comm, D device, const O& optimizer, AnySchedule schedule,
           const EngineOptions& options, std::size_t model_bytes = 0)
        : units_{grouped(std::move(units), options.get<ParameterGroups>())},
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
                 updaters(device, optimizer, options.get<ParameterGroups>()),
                 optimizer_plan_,
                 state_plan_,
                 S::shards_optimizer,
                 device},
          exchange_{comm_, state_plan_.doubles, state_plan_.exchange, workspace(), device} {}
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
    Loss combine(Loss loss) {
        exchange_.mine()[0] = loss.sum;
        exchange_.mine()[1] = static_cast<double>(loss.tokens);
        exchange_(2);
        double sum = 0, tokens = 0;
        for (int r = 0; r < comm_.size(); ++r) {
            sum += exchange_.of_rank(r)[0];
            tokens += exchange_.of_rank(r)[1];
        }
        return {.sum = sum, .tokens = static_cast<std::int64_t>(tokens)};
    }

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
    std::int64_t skipped() const noexcept { return skipped_; }
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
    /// Each parameter in the group whose rates it has; 0 is the optimizer's own.
    static std::vector<Unit> grouped(std::vector<Unit> units, const ParameterGroups& groups) {
        for (Unit& unit : units)
            for (Parameter& parameter : unit.parameters)
                parameter.group = groups.group_of(parameter.name);
        return units;
    }
    template <class O>
    static std::vector<Updater<E, D>> updaters(D device, const O& optimizer,
                                               const ParameterGroups& groups) {
        std::vector<Updater<E, D>> all;
        all.push_back(make_updater<E>(device, optimizer, GroupRates{}));
        for (const ParameterGroup& group : groups.groups)
            all.push_back(make_updater<E>(device, optimizer, group.rates()));
        return all;
    }
    WeightAccess<E, D, C, S> weights() {
        return {units_, layout_, comm_, device_, parameters_, state_};
    }
    std::size_t first_owned(std::size_t b) const {
        return first_owned_by<S>(layout_.buckets()[b], comm_.rank());
    }
    std::size_t first_of_shard(std::size_t b) const {
        return layout_.buckets()[b].shard * static_cast<std::size_t>(comm_.rank());
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
        const std::size_t buckets = layout_.buckets().size();
        const std::span<double> mine = exchange_.mine();
        gradients_.typed([&](auto tag) {
            using G = decltype(tag);
            for (std::size_t b = 0; b < buckets; ++b) {
                const Bucket& bucket = layout_.buckets()[b];
                mine[b] = bucket.trainable ? sum_of_squares<G>(device_, bucket, first_of_shard(b),
                                                               gradients_.template shard<G>(b))
                                           : 0;
            }
        });
        mine[buckets] = local_loss;
        mine[buckets + 1] = static_cast<double>(local_tokens);
        exchange_(StatePlan::step_doubles(layout_));
        phases_.enter(Phase::update);

        Step step{.index = index_, .loss_scale = scaler_.scale()};
        double squares = 0, loss = 0, tokens = 0;
        for (std::size_t b = 0; b < buckets; ++b)
            for (int r = 0; r < comm_.size(); ++r) squares += exchange_.of_rank(r)[b];
        for (int r = 0; r < comm_.size(); ++r) {
            loss += exchange_.of_rank(r)[buckets];
            tokens += exchange_.of_rank(r)[buckets + 1];
        }
        step.loss = loss / comm_.size();
        step.tokens = static_cast<std::int64_t>(tokens);
        step.gradient_norm = std::sqrt(squares) / scaler_.scale();
        step.rates = rates_of(index_ + 1, 0);
        if (!is_finite(squares)) return skip(step);
        gradients_.watch(false);
        skipped_in_a_row_ = 0;

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
                        state_.template measure<G>(round, b, first_owned(b), first_of_shard(b),
                                                   scale, parameters_.owned(b),
                                                   gradients_.template shard<G>(b), sums);
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
        const Rates rates = schedule_(index, state_.rule(group).rates());
        const auto means_something = [](float rate) { return is_finite(rate) && rate >= 0; };
        require(means_something(rates.lr) && means_something(rates.momentum), Errc::config,
                "schedule: the rates of step ", index, " are lr ", rates.lr, " and momentum ",
                rates.momentum, ", expected finite numbers of 0 or more");
        return rates;
    }

    /// Collective: names the first tensor whose mean over ranks is not finite, in layout order, and
    /// the first rank whose loss was not. Each rank's own gradient is gone by now: the next steps
    /// look at them, so that a second skip in a row names the rank too.
    Step skip(Step step) {
        gradients_.settle();
        const double none = static_cast<double>(layout_.full_size());
        double first = none;
        gradients_.typed([&](auto tag) {
            using G = decltype(tag);
            for (std::size_t b = 0; b < layout_.buckets().size() && first == none; ++b) {
                const Bucket& bucket = layout_.buckets()[b];
                if (!bucket.trainable) continue;
                const std::span<const G> shard = gradients_.template shard<G>(b);
                const std::size_t at = first_not_finite<G>(device_, shard);
                if (at < shard.size())
                    first = static_cast<double>(bucket.full_offset + first_of_shard(b) + at);
            }
        });
        int bad_loss = -1, bad_rank = -1;
        for (int r = comm_.size(); r-- > 0;)
            if (!is_finite(exchange_.of_rank(r)[layout_.buckets().size()])) bad_loss = r;
        const std::size_t own = gradients_.first_bad();
        exchange_.mine()[0] = first;
        exchange_.mine()[1] = own == gradients_.none ? none : static_cast<double>(own);
        exchange_(2);
        for (int r = 0; r < comm_.size(); ++r) first = std::min(first, exchange_.of_rank(r)[0]);
        for (int r = comm_.size(); r-- > 0;)
            if (exchange_.of_rank(r)[1] <= first) bad_rank = r;
        step.skipped = true;
        step.non_finite = name_at(static_cast<std::size_t>(first));
        if (bad_loss >= 0)
            step.non_finite += " (and the loss of rank " + std::to_string(bad_loss) + ")";
        else if (comm_.size() > 1)
            step.non_finite += bad_rank >= 0 && first < none
                                   ? " of rank " + std::to_string(bad_rank)
                                   : " (mean over " + std::to_string(comm_.size()) + " ranks)";
        gradients_.watch(true);
        ++skipped_;
        require(!scaler_.is_at_minimum(), Errc::numeric, "Trainer: the loss scale is ",
                scaler_.scale(), ", its minimum, and gradients overflow, first in ",
                step.non_finite, ", expected finite values; use bf16, or a lower learning rate");
        scaler_.update(true);
        if (scaler_.is_dynamic()) return step;  // it ends at the least scale
        ++skipped_in_a_row_;
        require(skipped_in_a_row_ < options_.get<SkipNonFinite>().most_in_a_row, Errc::numeric,
                "Trainer: gradients were not finite in ", skipped_in_a_row_,
                " steps in a row, first in ", step.non_finite,
                ", expected finite values; lower the learning rate, or look at the data");
        return step;
    }
    std::string name_at(std::size_t element) const {
        for (const Bucket& bucket : layout_.buckets())
            for (const Segment& segment : bucket.segments)
                if (element < bucket.full_offset + segment.first + segment.size)
                    return units_[segment.unit].parameters[segment.parameter].name;
        return "no tensor";
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
    PhaseClock phases_;
    std::int64_t index_ = 0, skipped_ = 0;
    int skipped_in_a_row_ = 0, micro_ = 0;
    bool open_ = false;  ///< a micro-step has begun and not ended
    bool backward_ = false;
    double loss_ = 0;
    std::int64_t tokens_ = 0;
};

}  // namespace zeropp
