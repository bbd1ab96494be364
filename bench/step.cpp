// SPDX-License-Identifier: Apache-2.0
/// \file One training step of t5-small: batch 8 a rank, 128 source and 32 target tokens, two ranks
/// on a core each, fp32, dropout 0.1, AdamW, clipping. Beside it the floor: the step's products at
/// the rate that the same library reaches on the same cores in the same run.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <ctime>
#include <vector>

#include <benchmark/benchmark.h>
#include <sched.h>

#include <zeropp/comm/thread.hpp>
#include <zeropp/core/rng.hpp>
#include <zeropp/format/t5_presets.hpp>
#include <zeropp/model/t5.hpp>
#include <zeropp/observe/process_memory.hpp>
#include <zeropp/trainer.hpp>

namespace {

namespace zp = zeropp;
using Clock = std::chrono::steady_clock;

constexpr int ranks = 2;
constexpr std::size_t batch_size = 8, source_length = 128, target_length = 32;

void pin(int core) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(static_cast<std::size_t>(core), &set);
    sched_setaffinity(0, sizeof set, &set);
}

double seconds_since(Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
}

double median(std::vector<double> values) {
    std::nth_element(values.begin(),
                     values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2), values.end());
    return values[values.size() / 2];
}

zp::Seq2SeqBatch random_batch(const zp::T5Config& config, std::uint64_t seed) {
    zp::Random random{seed};
    zp::Seq2SeqBatch batch;
    batch.size = batch_size;
    batch.source_length = source_length;
    batch.target_length = target_length;
    const auto token = [&] {
        return static_cast<std::int32_t>(
            3 + random.below(static_cast<std::uint32_t>(config.vocab_size) - 3));
    };
    for (std::size_t i = 0; i < batch_size * source_length; ++i)
        batch.source_ids.push_back(token());
    for (std::size_t i = 0; i < batch_size * target_length; ++i) batch.labels.push_back(token());
    batch.source_mask.assign(batch_size * source_length, 1);
    for (std::size_t i = 0; i < batch_size; ++i) batch.ordinals.push_back(seed * batch_size + i);
    return batch;
}

/// Forward and backward of one sequence: three times the products of forward (the gradient of the
/// embedding is not one).
double flops_a_sequence(const zp::T5Config& c) {
    const double s = source_length, t = target_length, d = static_cast<double>(c.d_model),
                 i = static_cast<double>(c.inner_size()), ff = static_cast<double>(c.d_ff);
    const double gated = c.feed_forward_proj == zp::T5Config::FeedForward::relu ? 2 : 3;
    const double encoder = static_cast<double>(c.num_layers),
                 decoder = static_cast<double>(c.num_decoder_layers);
    return 3 * (2 * s * encoder * (4 * d * i + gated * d * ff) +
                2 * t * decoder * (6 * d * i + gated * d * ff) + 4 * s * decoder * d * i +
                2 * t * d * static_cast<double>(c.vocab_size) +
                4 * i * (encoder * s * s + decoder * (t * t + t * s)));
}

/// FLOP/s of all ranks together on products of the step's commonest shapes.
double product_rate(const zp::T5Config& c) {
    std::vector<double> rates(ranks);
    zp::run_ranks(ranks, [&](zp::ThreadComm comm) {
        pin(comm.rank());
        zp::OneDnn products{1};
        const std::size_t m = batch_size * source_length, k = c.d_model, n = c.d_ff;
        std::vector<float> a(m * n), b(k * n), out(m * n);
        for (std::size_t i = 0; i < a.size(); ++i)
            a[i] = zp::uniform_from(static_cast<std::uint32_t>(i * 2654435761u)) - 0.5f;
        for (std::size_t i = 0; i < b.size(); ++i)
            b[i] = zp::uniform_from(static_cast<std::uint32_t>(i * 2246822519u)) - 0.5f;
        std::vector<double> times;
        for (int i = 0; i < 12; ++i) {
            comm.barrier();
            const auto start = Clock::now();
            products.gemm(zp::Transpose::no, zp::Transpose::yes, m, n, k, 1.0f, a.data(), k,
                          b.data(), k, 0.0f, out.data(), n);  // x W^T
            products.gemm(zp::Transpose::no, zp::Transpose::no, m, k, n, 1.0f, out.data(), n,
                          b.data(), k, 0.0f, a.data(), k);  // dy W
            products.gemm(zp::Transpose::yes, zp::Transpose::no, n, k, m, 1.0f, out.data(), n,
                          a.data(), k, 0.0f, b.data(), k);  // dy^T x
            std::fill(a.begin(), a.end(), 0.01f);
            times.push_back(seconds_since(start));
        }
        rates[static_cast<std::size_t>(comm.rank())] =
            6.0 * static_cast<double>(m * n * k) /
            *std::min_element(times.begin() + 2, times.end());
    });
    return rates[0] + rates[1];
}

template <int Stage>
void step(benchmark::State& state) {
    const zp::T5Config config = zp::t5_preset("t5-small");
    const double rate = product_rate(config);
    const double floor = ranks * batch_size * flops_a_sequence(config) / rate;
    std::vector<double> times;
    std::vector<std::size_t> planned(ranks);
    std::uint64_t sent = 0;
    double ready = 0;
    const auto begin = Clock::now();
    zp::run_ranks(ranks, [&](zp::ThreadComm comm) {
        pin(comm.rank());
        auto model = zp::T5<float>::with_random_weights(config, 1,
                                                        {.micro_batch = batch_size,
                                                         .max_source_length = source_length,
                                                         .max_target_length = target_length});
        zp::Trainer trainer{model, comm, zp::zero<Stage>,
                            zp::AdamW{.lr = 3e-4f, .beta2 = 0.95f, .weight_decay = 0.1f}};
        const zp::Seq2SeqBatch batch =
            random_batch(config, static_cast<std::uint64_t>(comm.rank()));
        planned[static_cast<std::size_t>(comm.rank())] = trainer.plan().total();
        trainer.step(batch);
        if (comm.rank() == 0) ready = seconds_since(begin);
        trainer.step(batch);
        const std::uint64_t before = comm.bytes_sent();
        for (int i = 0; i < 8; ++i) {
            comm.barrier();
            const auto start = Clock::now();
            trainer.step(batch);
            if (comm.rank() == 0) times.push_back(seconds_since(start));
        }
        trainer.settle();
        if (comm.rank() == 0) sent = (comm.bytes_sent() - before) / 8;
    });
    for (auto _ : state) {
    }
    const double each = median(times);
    state.counters["step_ms"] = 1e3 * each;
    state.counters["floor_ms"] = 1e3 * floor;
    state.counters["of_floor"] = floor / each;
    state.counters["product_GFLOP/s"] = rate / 1e9;
    state.counters["first_step_s"] = ready;
    state.counters["planned_MB"] = static_cast<double>(planned[0] + planned[1]) / 1e6;
    state.counters["peak_rss_MB"] = static_cast<double>(zp::peak_rss_bytes()) / 1e6;
    state.counters["sent_MB"] = static_cast<double>(sent) / 1e6;
}

double thread_seconds() {
    timespec now{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

/// ZeRO-2 with and without recomputation, a step of each in turn: what else the machine does
/// meets both alike.
void recomputation(benchmark::State& state) {
    const zp::T5Config config = zp::t5_preset("t5-small");
    std::vector<double> times[2], ratios, cpu_ratios;
    std::size_t planned[2] = {};
    zp::run_ranks(ranks, [&](zp::ThreadComm comm) {
        pin(comm.rank());
        const auto model_of = [&](bool recompute) {
            return zp::T5<float>::with_random_weights(config, 1,
                                                      {.micro_batch = batch_size,
                                                       .max_source_length = source_length,
                                                       .max_target_length = target_length,
                                                       .recompute = recompute});
        };
        auto all = model_of(false), twice = model_of(true);
        zp::Trainer keeps{all, comm, zp::zero<2>, zp::AdamW{.lr = 3e-4f}},
            computes{twice, comm, zp::zero<2>, zp::AdamW{.lr = 3e-4f}};
        decltype(keeps)* const trainers[] = {&keeps, &computes};
        const zp::Seq2SeqBatch batch =
            random_batch(config, static_cast<std::uint64_t>(comm.rank()));
        for (int i = -2; i < 8; ++i) {
            double wall[2] = {}, cpu[2] = {};
            for (const int which : {0, 1}) {
                comm.barrier();
                const auto start = Clock::now();
                const double before = thread_seconds();
                trainers[which]->step(batch);
                wall[which] = seconds_since(start);
                cpu[which] = thread_seconds() - before;
            }
            if (i < 0 || comm.rank() != 0) continue;
            for (const int which : {0, 1}) times[which].push_back(wall[which]);
            ratios.push_back(wall[1] / wall[0]);
            cpu_ratios.push_back(cpu[1] / cpu[0]);
        }
        if (comm.rank() == 0)
            for (const int which : {0, 1}) planned[which] = trainers[which]->plan().total();
    });
    for (auto _ : state) {
    }
    state.counters["all_ms"] = 1e3 * median(times[0]);
    state.counters["recompute_ms"] = 1e3 * median(times[1]);
    state.counters["ratio"] = median(ratios);
    state.counters["cpu_ratio"] = median(cpu_ratios);
    state.counters["all_planned_MB"] = static_cast<double>(ranks * planned[0]) / 1e6;
    state.counters["recompute_planned_MB"] = static_cast<double>(ranks * planned[1]) / 1e6;
}

/// Planned, not run: of one rank with batch 8, 512 source and 128 target tokens.
template <class E, bool Base, bool Recompute>
void activations(benchmark::State& state) {
    const auto model =
        zp::T5<E>::with_random_weights(zp::t5_preset(Base ? "t5-base" : "t5-small"), 1,
                                       {.micro_batch = 8,
                                        .max_source_length = 512,
                                        .max_target_length = 128,
                                        .recompute = Recompute});
    for (auto _ : state) {
    }
    state.counters["activations_MB"] = static_cast<double>(model.activation_bytes()) / 1e6;
}

BENCHMARK(step<2>)->Iterations(1)->Name("t5_small_step/zero2");
BENCHMARK(recomputation)->Iterations(1)->Name("t5_small_step/recompute");
BENCHMARK(step<0>)->Iterations(1)->Name("t5_small_step/zero0");
BENCHMARK(step<3>)->Iterations(1)->Name("t5_small_step/zero3");
BENCHMARK(activations<float, false, false>)->Iterations(1)->Name("t5_small_activations/all");
BENCHMARK(activations<float, false, true>)->Iterations(1)->Name("t5_small_activations/recompute");
BENCHMARK(activations<float, true, false>)->Iterations(1)->Name("t5_base_activations/all");
BENCHMARK(activations<float, true, true>)->Iterations(1)->Name("t5_base_activations/recompute");
BENCHMARK(activations<zp::Bf16, true, false>)->Iterations(1)->Name("t5_base_bf16_activations/all");
BENCHMARK(activations<zp::Bf16, true, true>)
    ->Iterations(1)
    ->Name("t5_base_bf16_activations/recompute");

}  // namespace

BENCHMARK_MAIN();
