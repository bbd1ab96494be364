// SPDX-License-Identifier: Apache-2.0
/// \file `Trainer`: model + communicator + policies. The only header most programs need beside
/// their communicator's and their model's.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <concepts>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <zeropp/comm/agreement.hpp>
#include <zeropp/comm/concepts.hpp>
#include <zeropp/core/error.hpp>
#include <zeropp/core/fingerprint.hpp>
#include <zeropp/core/plan.hpp>
#include <zeropp/device/instruction_set.hpp>
#include <zeropp/model/concepts.hpp>
#include <zeropp/model/spans.hpp>
#include <zeropp/optim/adamw.hpp>
#include <zeropp/optim/rule.hpp>
#include <zeropp/optim/schedule.hpp>
#include <zeropp/optim/sgd.hpp>
#include <zeropp/zero/engine.hpp>
#include <zeropp/zero/policies.hpp>

namespace zeropp {

/// Trains `model` on every rank of `comm` at once. Borrows both; they outlive it.
///
/// Policies in any order, each kind at most once: a stage (default zero<1>), an optimizer (AdamW),
/// a schedule (Constant), and options (ClipNorm 1.0, Accumulation, Gradients, Buckets,
/// SkipNonFinite, MemoryLimit, LossScale, ParameterGroups, OptimizerStates). Stage and optimizer
/// are part of the type (AnyOptimizer makes the optimizer a value); the rest are values.
///
/// Law: two trainers that differ in their stage leave the same bits in the model after every step.
/// With accumulation, `Accumulation::reduce` has to be the same too: its default goes by stage.
template <class M, class C, class... Ps>
class Trainer {
    static_assert(Model<M>,
                  "zeropp: the first argument of Trainer must be a model: Element, Device, "
                  "device(), units() and fill() as in zeropp/model/concepts.hpp");
    static_assert(Communicator<C>,
                  "zeropp: the second argument of Trainer must be a communicator such as "
                  "ThreadComm or MpiComm");
    using Pack = Policies<Ps...>;

public:
    using Stage = typename Pack::Stage;
    using Optimizer = typename Pack::Optimizer;
    using Element = typename M::Element;

    static_assert(detail::precision_agrees<Element, Ps...>,
                  "zeropp: the precision given to Trainer disagrees with the model's element type; "
                  "the model decides, leave the policy out or make them equal");
    static_assert(!Stage::shards_parameters || !BorrowingModel<M>,
                  "zeropp: zero<3> drops parameters between uses, which a model over your own "
                  "arrays cannot do; use zero<2>, or a model with units and run()");

    /// Collective. Plans, checks that all ranks agree, allocates, and fills from the model's
    /// source.
    template <class... Given>
    Trainer(M& model, C& comm, Given... policies)
        : model_{(check(policies), ..., model)},
          comm_{comm},
          engine_{model.units(),
                  comm,
                  model.device(),
                  detail::optimizer_from<Optimizer>(policies...),
                  detail::schedule_from(policies...),
                  agreed(model, comm, detail::optimizer_from<Optimizer>(policies...),
                         detail::schedule_from(policies...), detail::options_from(policies...)),
                  activation_bytes(model)} {
        using GivenPack = Policies<Given...>;
        static_assert(detail::precision_agrees<Element, Given...>,
                      "zeropp: the precision given to Trainer disagrees with the model's element "
                      "type; the model decides, leave the policy out or make them equal");
        static_assert(std::same_as<typename GivenPack::Stage, Stage> ||
                          detail::count<detail::is_stage, Given...> == 0,
                      "zeropp: the stage given to the constructor differs from the one in the "
                      "trainer's type");
        static_assert(std::same_as<typename GivenPack::Optimizer, Optimizer> ||
                          detail::count<detail::is_optimizer, Given...> == 0,
                      "zeropp: the optimizer given to the constructor differs from the one in the "
                      "trainer's type");
        if constexpr (BorrowingModel<M>)
            for (const auto& array : model_.arrays())
                comm_.broadcast(std::as_writable_bytes(array.parameters), 0).wait();
        engine_.fill([&](std::size_t unit, std::size_t parameter, std::size_t first,
                         std::span<float> out) { model_.fill(unit, parameter, first, out); });
    }

    /// Collective at the end of a step's last micro-step (and, by stage and overlap, in between):
    /// one micro-batch forward and backward; after the last one of a step the update. After a call
    /// that threw, on all ranks alike, the next one begins the same step anew, with its first
    /// micro-batch.
    template <class Batch>
    requires TrainableOn<M, Batch> Step step(const Batch& batch) {
        engine_.begin_micro_step();
        const Loss loss =
            model_.run(batch, static_cast<UnitObserver<Element>&>(engine_), engine_.loss_scale());
        return engine_.end_micro_step(loss);
    }

    /// Collective. The same for gradients that the user has filled; returns with the weights
    /// readable.
    Step step() requires BorrowingModel<M> {
        engine_.begin_micro_step();
        model_.give_gradients(engine_, engine_.loss_scale());
        const Step step = engine_.end_micro_step({});
        if (step.updated)
            engine_.observe([&](UnitObserver<Element>& observer) {
                model_.take_parameters(observer);
                return 0;
            });
        return step;
    }

    /// Collective. The loss over all ranks' tokens, without gradients.
    template <class Batch>
    requires EvaluableOn<M, Batch> Loss evaluate(const Batch& batch) {
        return engine_.combine(engine_.observe(
            [&](UnitObserver<Element>& observer) { return model_.evaluate(batch, observer); }));
    }

    /// Collective. Calls visit(const Parameter&, std::size_t first, std::span<const float>) on rank
    /// 0 for every parameter in order, with its fp32 master from element `first` on: 2^20 elements
    /// at a time. Sends rank 0 (W-1)/W of 4 bytes an element.
    template <class Visit>
    void for_each_weight(Visit visit) {
        engine_.for_each_weight(
            [&](std::size_t unit, std::size_t index, std::size_t first, std::span<float> values) {
                const Parameter& parameter = engine_.units()[unit].parameters[index];
                if constexpr (!std::same_as<Element, float>)
                    if (!parameter.trainable) model_.fill(unit, index, first, values);
                visit(parameter, first, std::span<const float>{values});
            });
    }

    /// Every arena of this rank in bytes.
    MemoryPlan plan() const {
        MemoryPlan plan = engine_.plan();
        if constexpr (PlansActivations<M>) plan.add("activations", activation_bytes(model_));
        if constexpr (BorrowingModel<M>)
            for (const auto& array : model_.arrays())
                plan.add("your '" + array.name + "' and its gradients",
                         2 * array.parameters.size_bytes(), true);
        return plan;
    }

    M& model() noexcept { return model_; }
    C& comm() noexcept { return comm_; }
    std::int64_t steps() const noexcept { return engine_.index(); }
    std::int64_t skipped_steps() const noexcept { return engine_.skipped(); }
    const auto& engine() const noexcept { return engine_; }
    /// The step's forward, backward, reduction, update and gather, measured once it is started.
    PhaseClock& phases() noexcept { return engine_.phases(); }
    /// Waits until peers need nothing more of this rank's memory.
    void settle() { engine_.settle(); }

private:
    template <class P>
    static void check(const P& policy) {
        if constexpr (ChecksItself<P>) policy.check();
    }
    static std::size_t activation_bytes(const M& model) {
        if constexpr (PlansActivations<M>) return model.activation_bytes();
        return 0;
    }
    /// What the optimizer does with a few elements of several sizes: equal rules, equal bits.
    static std::uint64_t probed(Rule& rule, StepContext now) {
        constexpr std::size_t size = 8;
        const float sizes[] = {1.0f, 1e-3f, 1e-8f, 1e-16f};
        float p[size], g[size], memory[TensorPiece::most_slots][size];
        TensorPiece piece{.count = size, .parameters = p, .gradients = g};
        for (std::size_t i = 0; i < size; ++i) {
            p[i] = i % 2 == 0 ? 1.0f : sizes[i / 2];
            g[i] = 0.7f * sizes[i / 2];
            for (std::size_t s = 0; s < TensorPiece::most_slots; ++s)
                memory[s][i] = s == 0 ? sizes[i / 2] / 2 : sizes[i / 2] * sizes[i / 2];
        }
        for (std::size_t s = 0; s < TensorPiece::most_slots; ++s) piece.slots[s] = memory[s];
        Tensor2d tensor{.rows = 2, .columns = size / 2};
        std::vector<float> kept(rule.kept(tensor));
        std::vector<double> sums;
        tensor.kept = kept;
        rule.begin(now);
        for (std::size_t round = 0; round < rule.rounds(); ++round) {
            const std::size_t done = sums.size();
            sums.resize(done + rule.sums(round, tensor));
            tensor.sums = sums;
            rule.measure(round, tensor, piece, tensor.sums.subspan(done));
            rule.combine(round, tensor);
        }
        rule.update(tensor, piece);
        std::uint64_t hash = hash_of("");
        const auto add = [&](std::span<const float> values) {
            for (const float value : values)
                hash = hash_of(std::to_string(std::bit_cast<std::uint32_t>(value)), hash);
        };
        add(p);
        for (std::size_t s = 0; s < rule.slots().size(); ++s) add(memory[s]);
        return hash;
    }
    /// Of initial values from one end of the parameter to the other.
    static std::uint64_t sampled(const M& model, std::size_t unit, std::size_t parameter,
                                 std::size_t size) {
        constexpr std::size_t samples = 8;
        std::uint64_t hash = hash_of("");
        for (std::size_t s = 0; s < std::min(samples, size); ++s) {
            float value = 0;
            model.fill(unit, parameter, s * (size - 1) / (samples - 1), std::span{&value, 1});
            hash = hash_of(std::to_string(std::bit_cast<std::uint32_t>(value)), hash);
        }
        return hash;
    }
    /// Collective. All ranks must have said the same; the first difference is named.
    static EngineOptions agreed(const M& model, C& comm, const Optimizer& optimizer,
                                const AnySchedule& schedule, EngineOptions options) {
        Fingerprint fields;
        fields.add("precision", std::string{name_of(dtype_of<Element>)});
        fields.add("stage",
                   Stage::shards_optimizer + Stage::shards_gradients + Stage::shards_parameters);
        const std::unique_ptr<Rule> rule = make_rule(optimizer);
        fields.add("optimizer", std::string{rule->name()});
        for (const std::int64_t step : {1, 2, 3, 100, 10'000, 1'000'000}) {
            const Rates rates = schedule(step, rule->rates());
            fields.add("learning rate of step " + std::to_string(step), rates.lr);
            fields.add("what the optimizer does in step " + std::to_string(step) + " (its hash)",
                       probed(*rule, {.index = step, .rates = rates}));
        }
        options.describe(fields);
        fields.add("instruction set", std::string{name_of(instruction_set())});
        const std::vector<Unit> units = model.units();
        const auto& groups = options.get<ParameterGroups>();
        for (const Unit& unit : units) {
            fields.add("unit " + unit.name,
                       std::to_string(unit.parameters.size()) + " parameters, " +
                           std::to_string(gradient_size(unit)) + " elements of gradient" +
                           (unit.resident ? ", resident" : "") +
                           (unit.forward_only ? ", forward only" : ""));
            for (const Parameter& parameter : unit.parameters) {
                std::string shape = parameter.trainable ? "trainable" : "frozen";
                shape += ", group " + std::to_string(groups.group_of(parameter.name)) + ",";
                for (const std::size_t extent : parameter.shape)
                    shape += " " + std::to_string(extent);
                fields.add("parameter " + parameter.name, shape);
            }
        }
        if constexpr (DescribesItself<M>) model.describe(fields);
        if constexpr (!BorrowingModel<M>)  // whose rank 0 gives all ranks its values
            for (std::size_t u = 0; u < units.size(); ++u)
                for (std::size_t p = 0; p < units[u].parameters.size(); ++p)
                    fields.add(
                        "initial values of " + units[u].parameters[p].name + " (hash of a few)",
                        sampled(model, u, p, units[u].parameters[p].size()));
        require_agreement(comm, fields);
        return options;
    }

    M& model_;
    C& comm_;
    Engine<Element, typename M::Device, C, Stage> engine_;
};

template <class M, class C, class... Ps>
Trainer(M&, C&, Ps...)
    -> Trainer<M, C, typename Policies<Ps...>::Stage, typename Policies<Ps...>::Optimizer>;

}  // namespace zeropp
