// SPDX-License-Identifier: Apache-2.0
/// \file What the ranks of one training run have in common, read and checked before they start.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include <zeropp/comm/logged.hpp>
#include <zeropp/comm/mpi.hpp>
#include <zeropp/comm/thread.hpp>
#include <zeropp/core/fingerprint.hpp>
#include <zeropp/core/precision.hpp>
#include <zeropp/data/dataset.hpp>
#include <zeropp/data/loader.hpp>
#include <zeropp/data/sampler.hpp>
#include <zeropp/io/config_file.hpp>
#include <zeropp/io/settings.hpp>
#include <zeropp/observe/csv_monitor.hpp>
#include <zeropp/observe/flops_report.hpp>
#include <zeropp/observe/tensorboard.hpp>
#include <zeropp/optim/schedule.hpp>

#include "options.hpp"

/// What DeepSpeed's keys of these names ask for.
struct ObserveOptions {
    bool wall_clock_breakdown = false, memory_breakdown = false, dump_state = false;
    zeropp::CsvMonitorOptions csv_monitor{};
    zeropp::TensorBoardOptions tensorboard{};
    zeropp::CommsLoggerOptions comms_logger{};
    zeropp::FlopsProfilerOptions flops_profiler{};
};

/// Read-only; thread ranks share it.
struct TrainRun {
    TrainOptions options;
    zeropp::Config config;  ///< the file's settings and the flags', without contradiction
    ObserveOptions observe{};
    std::string precision{};  ///< "bf16", "fp16" or "fp32", and why
    int ranks = 1;
    zeropp::BatchSizes sizes{};
    std::int64_t steps = 0, steps_per_epoch = 0;
    std::size_t max_target_length = 0;  ///< by the objective
    zeropp::SpanCorruption corruption{};
    zeropp::Seq2SeqDataset train{}, validation{};  ///< validation is empty without a file
    std::uint64_t train_hash = 0, validation_hash = 0;
    bool ranks_share_process = false;

    bool corrupts() const { return options.objective == "span-corruption"; }
    zeropp::Sampler sampler() const;
    /// The batches of one rank.
    std::unique_ptr<zeropp::Loader> loader(int rank) const;
    zeropp::AnySchedule schedule() const;
    /// What ranks must agree on beside the trainer's own settings.
    zeropp::Fingerprint fingerprint() const;
};

/// Collective. Trains, and saves the model; true if a signal stopped it early.
template <class Element, class Comm>
bool train_rank(const TrainRun& run, Comm& comm);

using ThreadRank = zeropp::LoggedComm<zeropp::ThreadComm>;
using MpiRank = zeropp::LoggedComm<zeropp::MpiComm>;
extern template bool train_rank<float>(const TrainRun&, ThreadRank&);
extern template bool train_rank<float>(const TrainRun&, MpiRank&);
extern template bool train_rank<zeropp::Bf16>(const TrainRun&, ThreadRank&);
extern template bool train_rank<zeropp::Bf16>(const TrainRun&, MpiRank&);
extern template bool train_rank<zeropp::Half>(const TrainRun&, ThreadRank&);
extern template bool train_rank<zeropp::Half>(const TrainRun&, MpiRank&);
