// SPDX-License-Identifier: Apache-2.0
/// \file One rank of a training run: batches, steps, what is told about them, and the saved model.
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <exception>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <zeropp/comm/agreement.hpp>
#include <zeropp/data/batch.hpp>
#include <zeropp/device/profiled_products.hpp>
#include <zeropp/io/dispatch.hpp>
#include <zeropp/io/pretrained.hpp>
#include <zeropp/model/t5.hpp>
#include <zeropp/observe/json_log.hpp>
#include <zeropp/observe/memory_breakdown.hpp>
#include <zeropp/observe/process_memory.hpp>
#include <zeropp/observe/progress.hpp>
#include <zeropp/observe/wall_clock.hpp>
#include <zeropp/trainer.hpp>
#include <zeropp/zero/layout_table.hpp>

#include "output.hpp"
#include "stop_signal.hpp"
#include "train_run.hpp"

/// Collective. Everybody's value, by rank.
template <class T, class Comm>
std::vector<T> gathered(Comm& comm, const T& mine) {
    std::vector<T> all(static_cast<std::size_t>(comm.size()));
    comm.all_gather(std::as_bytes(std::span{&mine, 1}), std::as_writable_bytes(std::span{all}))
        .wait();
    return all;
}

template <class Trainer, class Comm>
class TrainLoop {
    using Clock = std::chrono::steady_clock;
    using Element = typename Trainer::Element;
    static constexpr bool is_fp16 = std::same_as<Element, zeropp::Half>;

public:
    /// Borrows all three. `log`: of the steps' communication, on rank 0; it outlives the trainer.
    TrainLoop(const TrainRun& run, Trainer& trainer, Comm& comm,
              std::shared_ptr<zeropp::CommLog> log)
        : run_{run},
          trainer_{trainer},
          comm_{comm},
          control_{comm.unlogged().split(0, comm.rank())},
          loader_{run.loader(comm.rank())},
          rank_{static_cast<std::size_t>(comm.rank())},
          ranks_{static_cast<std::size_t>(comm.size())},
          micro_{static_cast<std::size_t>(run.sizes.micro)},
          log_{std::move(log)} {
        if (comm.rank() != 0) return;
        if (run.options.log_jsonl)
            sinks_.push_back(std::make_unique<zeropp::JsonLog>(*run.options.log_jsonl));
        if (!run.options.quiet)
            sinks_.push_back(std::make_unique<zeropp::Progress>(
                zeropp::ProgressOptions{.steps_per_line = run.config.steps_per_print.value_or(0),
                                        .plain = !run.ranks_share_process}));
        const ObserveOptions& observe = run.observe;
        if (observe.csv_monitor.enabled)
            sinks_.push_back(std::make_unique<zeropp::CsvMonitor>(observe.csv_monitor));
        if (observe.tensorboard.enabled)
            sinks_.push_back(std::make_unique<zeropp::TensorBoard>(observe.tensorboard));
        if (observe.memory_breakdown)
            sinks_.push_back(std::make_unique<zeropp::MemoryBreakdown>(trainer.plan()));
        if (observe.wall_clock_breakdown)
            sinks_.push_back(std::make_unique<zeropp::WallClock>(zeropp::WallClockOptions{
                .steps_per_table = run.config.steps_per_print.value_or(0)}));
    }

    /// Collective. True if a signal stopped it before the last step.
    bool operator()() {
        planned_ = gathered(control_, std::uint64_t{trainer_.plan().total()});
        tell(zeropp::StartEvent{.what = description(),
                                .steps = run_.steps,
                                .planned_bytes = planned_,
                                .ranks_share_process = run_.ranks_share_process});
        if (rank_ == 0 && run_.observe.dump_state) dump_state();
        comm_.log_to(log_);
        if (rank_ == 0 && run_.observe.wall_clock_breakdown) trainer_.phases().start();
        const auto begin = Clock::now();
        bool stopped = false;
        std::int64_t step = 0;
        while (step < run_.steps && !stopped) {
            stopped = take(step++);
            const bool epoch_ends = step % run_.steps_per_epoch == 0 || step == run_.steps;
            if (epoch_ends && !stopped && run_.validation.size() != 0) stopped = validate(step);
        }
        trainer_.settle();
        comm_.log_to(nullptr);
        std::vector<std::uint64_t> peaks = gathered(control_, zeropp::peak_rss_bytes());
        if (run_.ranks_share_process) peaks.resize(1);
        tell(zeropp::EndEvent{.steps = step,
                              .skipped = skipped_,
                              .seconds = seconds_since(begin),
                              .stopped = stopped || skipped_ == step,
                              .stopped_by = failure_ || skipped_ == step ? "an error" : "a signal",
                              .peak_rss_bytes = peaks,
                              .planned_bytes = planned_,
                              .bytes_sent = gathered(control_, sent_)});
        if (skipped_ == step) {
            rethrow();
            zeropp::fail(zeropp::Errc::numeric, "training: all ", step,
                         " steps were skipped, gradients were not finite, last in ", non_finite_,
                         ", expected finite ones; nothing is saved");
        }
        if (log_) print(log_->table());
        return stopped;
    }

    /// After the model is saved: what ended the run early on this rank, if anything did.
    void rethrow() const {
        if (failure_) std::rethrow_exception(failure_);
    }

private:
    /// What ranks tell each other after a step: counted apart from the trainer's bytes.
    struct Pulse {
        std::int64_t tokens = 0;
        std::int64_t stop = 0;
    };
    Pulse exchange(std::int64_t tokens) {
        const Pulse mine{tokens, StopSignal::requested() || failure_};
        control_
            .all_gather(std::as_bytes(std::span{&mine, 1}),
                        std::as_writable_bytes(std::span{pulses_}))
            .wait();
        Pulse sum;
        for (const Pulse& pulse : pulses_) {
            sum.tokens += pulse.tokens;
            sum.stop += pulse.stop;
        }
        return sum;
    }

    /// One optimizer step; true if it is to be the last one.
    bool take(std::int64_t step_index) {
        const auto begin = Clock::now();
        const std::uint64_t sent_before = comm_.bytes_sent();
        std::int64_t tokens = 0;
        zeropp::Step step;
        begin_profile(step_index);
        trainer_.phases().take();  // what came before is of no step
        for (std::int64_t m = 0; m < run_.sizes.accumulation; ++m) {
            const zeropp::Seq2SeqBatch& batch = next_batch();
            for (const std::uint8_t real : batch.source_mask) tokens += real;
            for (const std::int32_t label : batch.labels) tokens += label != zeropp::ignored_label;
            try {
                step = trainer_.step(batch);
            } catch (const zeropp::NonFiniteError& error) {
                // On all ranks alike, and without a trace in the weights: they are saved first.
                step = error.step();
                failure_ = std::current_exception();
            }
        }
        sent_ += comm_.bytes_sent() - sent_before;
        if (step.skipped) {
            ++skipped_;
            non_finite_ = step.non_finite;
        }
        const Pulse all = exchange(tokens);
        const zeropp::PhaseTimes phases = trainer_.phases().take();
        const double seconds = seconds_since(begin);
        tell(zeropp::StepEvent{.step = step_index + 1,
                               .loss = step.loss,
                               .lr = step.rates.lr,
                               .gradient_norm = step.gradient_norm,
                               .seconds = seconds,
                               .tokens = all.tokens,
                               .skipped = step.skipped,
                               .non_finite = step.non_finite,
                               .skipped_steps = skipped_,
                               .samples = samples_of(step_index + 1),
                               .loss_scale = is_fp16 ? double(step.loss_scale) : 0.0,
                               .phases = phases});
        end_profile(step_index, seconds);
        return all.stop != 0;
    }
    /// Ranks take batches in turn; one that has none left takes part with nothing that counts.
    bool validate(std::int64_t step) {
        const auto begin = Clock::now();
        const std::vector<std::uint64_t> order = run_.validation.by_length();
        double sum = 0;
        std::int64_t tokens = 0;
        for (std::size_t first = 0; first < order.size(); first += micro_ * ranks_) {
            const std::size_t mine = std::min(first + rank_ * micro_, order.size()),
                              end = std::min(mine + micro_, order.size());
            examples_.clear();
            for (std::size_t i = mine; i < end; ++i) examples_.push_back(run_.validation[order[i]]);
            if (examples_.empty()) examples_.push_back(run_.validation[order[0]]);
            zeropp::collate(examples_, batch_);
            if (mine == end)
                std::fill(batch_.labels.begin(), batch_.labels.end(), zeropp::ignored_label);
            const zeropp::Loss loss = trainer_.evaluate(batch_);
            sum += loss.sum;
            tokens += loss.tokens;
            if (exchange(0).stop != 0) return true;
        }
        tell(zeropp::EvaluationEvent{
            .step = step,
            .loss = sum / static_cast<double>(std::max<std::int64_t>(1, tokens)),
            .tokens = tokens,
            .examples = static_cast<std::int64_t>(order.size()),
            .seconds = seconds_since(begin),
            .samples = samples_of(step)});
        return false;
    }

    const zeropp::Seq2SeqBatch& next_batch() {
        const zeropp::PhaseClock::Scope waiting{trainer_.phases(), zeropp::Phase::data};
        return loader_->next();
    }
    /// Examples of all ranks in so many steps.
    std::int64_t samples_of(std::int64_t steps) const {
        return steps * run_.sizes.accumulation * run_.sizes.micro * comm_.size();
    }

    /// The step that is profiled, or the last one if there are fewer.
    bool is_profiled(std::int64_t step_index) const {
        return run_.observe.flops_profiler.enabled &&
               step_index == std::min(run_.observe.flops_profiler.profile_step, run_.steps - 1);
    }
    void begin_profile(std::int64_t step_index) {
        if (!is_profiled(step_index)) return;
        profile_ = std::make_unique<zeropp::FlopsProfile>(trainer_.model().units().size());
        trainer_.model().tape().products().record(profile_.get());
    }
    /// The products alone are measured on all ranks at once, as they share the machine in a step.
    void end_profile(std::int64_t step_index, double seconds) {
        if (!is_profiled(step_index)) return;
        constexpr std::size_t extent = 768;
        auto& products = trainer_.model().tape().products();
        products.record(nullptr);
        zeropp::FlopsSubject subject{
            .what = "step " + std::to_string(step_index + 1) + " of rank 0 of " +
                    std::to_string(comm_.size()),
            .step_seconds = seconds,
            .rate = zeropp::product_rate<Element>(products.unprofiled(), extent),
            .rate_of = "768 x 768 x 768 in " +
                       std::string{zeropp::name_of(zeropp::dtype_of<Element>)} + " by oneDNN, " +
                       std::to_string(products.unprofiled().threads()) +
                       " thread a rank, all ranks at once"};
        for (const zeropp::Unit& unit : trainer_.model().units()) {
            subject.unit_names.push_back(unit.name);
            subject.unit_parameters.push_back(zeropp::parameter_count({unit}));
        }
        if (rank_ == 0)
            guarded([&] {
                zeropp::write_flops_report(
                    zeropp::flops_report(*profile_, subject, run_.observe.flops_profiler),
                    run_.observe.flops_profiler);
            });
        profile_ = nullptr;
    }
    void dump_state() const {
        std::string text = "state at the start: settings\n";
        for (const auto& [name, value] : run_.fingerprint().fields)
            text += "  " + name + " = " + value + "\n";
        text += "layout\n" +
                zeropp::layout_table(trainer_.engine().layout(), trainer_.engine().units());
        print(text + "memory\n" + zeropp::plan_table(trainer_.plan()));
    }

    /// A log that cannot be written ends the run at its next step.
    template <class Event>
    void tell(const Event& event) {
        guarded([&] {
            for (const auto& sink : sinks_) sink->on(event);
        });
    }
    template <class Call>
    void guarded(Call call) {
        try {
            call();
        } catch (...) {
            if (!failure_) failure_ = std::current_exception();
            sinks_.clear();
        }
    }
    std::string description() const {
        char text[256];
        std::snprintf(text, sizeof text,
                      "%.1f million parameters on %d %s rank%s, ZeRO stage %d, %lld steps of %lld "
                      "examples; %s",
                      static_cast<double>(zeropp::parameter_count(trainer_.model().units())) * 1e-6,
                      comm_.size(), std::string{comm_.name()}.c_str(), comm_.size() == 1 ? "" : "s",
                      Trainer::Stage::number, static_cast<long long>(run_.steps),
                      static_cast<long long>(run_.sizes.train), run_.precision.c_str());
        return text;
    }
    static double seconds_since(Clock::time_point begin) {
        return std::chrono::duration<double>(Clock::now() - begin).count();
    }

    const TrainRun& run_;
    Trainer& trainer_;
    Comm& comm_;
    Comm control_;  ///< not logged
    std::unique_ptr<zeropp::Loader> loader_;
    std::size_t rank_, ranks_, micro_;
    std::shared_ptr<zeropp::CommLog> log_;
    std::uint64_t sent_ = 0;  ///< bytes of the steps
    std::int64_t skipped_ = 0;
    std::string non_finite_;  ///< of the last step that was skipped
    std::vector<Pulse> pulses_ = std::vector<Pulse>(ranks_);
    std::vector<std::uint64_t> planned_;
    std::vector<zeropp::Seq2SeqExample> examples_;
    zeropp::Seq2SeqBatch batch_;                        ///< of validation
    std::vector<std::unique_ptr<zeropp::Sink>> sinks_;  ///< of rank 0
    std::unique_ptr<zeropp::FlopsProfile> profile_;     ///< during the step that is profiled
    std::exception_ptr failure_;  ///< of a sink, or of steps without finite gradients
};

template <class Element, class Comm>
bool train_rank(const TrainRun& run, Comm& comm) {
    zeropp::require_agreement(comm, run.fingerprint());
    const TrainOptions& options = run.options;
    zeropp::T5Options limits{.micro_batch = static_cast<std::size_t>(run.sizes.micro),
                             .max_source_length = options.text.max_source_length,
                             .max_target_length = run.max_target_length,
                             .seed = options.seed,
                             .recompute = zeropp::recompute_of(run.config),
                             .frozen = options.freeze};
    if (options.dropout) limits.dropout = static_cast<float>(*options.dropout);
    using Products = zeropp::ProfiledProducts<zeropp::OneDnn>;
    auto model =
        zeropp::T5<Element, zeropp::Host, Products>::from_pretrained(options.model, limits);
    if (comm.rank() == 0)
        require_space(options.output, "--output",
                      zeropp::parameter_count(model.units()) * sizeof(float) +
                          bytes_beside_weights(options.model));
    std::shared_ptr<zeropp::CommLog> log;
    if (comm.rank() == 0 && run.observe.comms_logger.enabled)
        log = std::make_shared<zeropp::CommLog>(run.observe.comms_logger, stdout);
    return zeropp::with_policies(run.config, comm.size(), run.schedule(), [&](auto... policies) {
        zeropp::Trainer trainer{model, comm, policies...};
        TrainLoop loop{run, trainer, comm, log};
        const bool stopped = loop();
        zeropp::save_pretrained(trainer, options.output);
        loop.rethrow();
        return stopped;
    });
}
