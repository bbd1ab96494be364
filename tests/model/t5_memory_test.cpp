// SPDX-License-Identifier: Apache-2.0
/// \file Laws: what a T5 and its trainer take of the process is the plan and at most 8 MiB; once a
/// shape has been seen, a step of it allocates nothing.
#include <cstdio>
#include <fstream>
#include <string>
#include <vector>

#include <unistd.h>

#include <zeropp/comm/self.hpp>
#include <zeropp/comm/thread.hpp>
#include <zeropp/device/profiled_products.hpp>
#include <zeropp/io/pretrained.hpp>
#include <zeropp/model/t5.hpp>
#include <zeropp/trainer.hpp>

#include "model/golden.hpp"
#include "support/catch.hpp"
#include "support/counted_allocations.hpp"
#include "support/temporary.hpp"

namespace zp = zeropp;

namespace {

zp::T5Config config_of(std::size_t width) {
    zp::T5Config config;
    config.vocab_size = 16 * width;
    config.d_model = width;
    config.d_ff = 4 * width;
    config.num_heads = width / 32;
    config.d_kv = 32;
    config.num_layers = config.num_decoder_layers = 3;
    return config;
}

zp::Seq2SeqBatch batch_of(std::size_t size, std::size_t source, std::size_t target) {
    zp::Seq2SeqBatch batch;
    batch.size = size;
    batch.source_length = source;
    batch.target_length = target;
    batch.source_ids.assign(size * source, 7);
    batch.source_mask.assign(size * source, 1);
    batch.labels.assign(size * target, 9);
    for (std::size_t row = 0; row < size; ++row) batch.ordinals.push_back(row);
    return batch;
}

using Profiled = zp::ProfiledProducts<zp::OneDnn>;

template <class S, class E, class P = zp::OneDnn>
std::size_t allocations_of_steps(bool recompute = false) {
    std::vector<std::size_t> counts(2, 1);
    zp::run_ranks(2, [&](zp::ThreadComm comm) {
        auto model = zp::T5<E, zp::Host, P>::with_random_weights(config_of(64), 1,
                                                                 {.micro_batch = 2,
                                                                  .max_source_length = 20,
                                                                  .max_target_length = 9,
                                                                  .recompute = recompute});
        zp::FlopsProfile profile{model.units().size()};
        if constexpr (zp::ObservesUnits<P>) model.tape().products().record(&profile);
        zp::Trainer trainer{model, comm, S{}, zp::AdamW{}};
        const std::vector<zp::Seq2SeqBatch> shapes{batch_of(2, 20, 9), batch_of(1, 7, 4),
                                                   batch_of(2, 13, 2)};
        const auto pass = [&] {
            for (const zp::Seq2SeqBatch& batch : shapes) trainer.step(batch);
        };
        pass();
        const std::size_t before = allocations;  // 0 only if nobody counts
        pass();
        if (before != 0) counts[static_cast<std::size_t>(comm.rank())] = allocations - before;
    });
    return counts[0] + counts[1];
}

/// Pages of this process that are in memory now.
[[maybe_unused]] std::size_t resident_bytes() {
    std::ifstream file{"/proc/self/statm"};
    std::size_t all = 0, resident = 0;
    file >> all >> resident;
    return resident * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

}  // namespace

TEST_CASE("once its shape has been seen, a step of a T5 allocates nothing", "[law]") {
    CHECK(allocations_of_steps<zp::Zero<2>, float>() == 0);
    CHECK(allocations_of_steps<zp::Zero<3>, float>() == 0);
    CHECK(allocations_of_steps<zp::Zero<2>, zp::Bf16>() == 0);
    CHECK(allocations_of_steps<zp::Zero<3>, float, Profiled>() == 0);
    CHECK(allocations_of_steps<zp::Zero<3>, float>(true) == 0);
    CHECK(allocations_of_steps<zp::Zero<2>, zp::Half>(true) == 0);
}

TEST_CASE("once its shape has been seen, a run of a T5 in fp16 allocates nothing", "[law]") {
    auto model = zp::T5<zp::Half>::with_random_weights(
        config_of(64), 1, {.micro_batch = 2, .max_source_length = 20, .max_target_length = 9});
    zp::testing::Recorder recorder{model};
    const zp::Seq2SeqBatch batch = batch_of(2, 20, 9);
    model.run(batch, recorder, 1024.0f);
    const std::size_t before = allocations;
    model.run(batch, recorder, 1024.0f);
    CHECK(allocations == before);
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
TEST_CASE("a trainer and its model take what the plan says and at most 8 MiB", "[law]") {
    // What the process takes once for all: code of oneDNN's kernels, its packing buffers.
    allocations_of_steps<zp::Zero<2>, float>();
    for (const bool sharded : {false, true}) {
        const std::size_t before = resident_bytes();
        zp::SelfComm comm;
        auto model = zp::T5<float>::with_random_weights(
            config_of(256), 1,
            {.micro_batch = 8, .max_source_length = 128, .max_target_length = 32});
        const zp::Seq2SeqBatch batch = batch_of(8, 128, 32);
        const auto check = [&](auto stage) {
            zp::Trainer trainer{model, comm, stage, zp::AdamW{}};
            for (int i = 0; i < 2; ++i) trainer.step(batch);
            const auto taken = static_cast<double>(resident_bytes() - before),
                       planned = static_cast<double>(trainer.plan().total());
            INFO("taken " << taken << ", planned " << planned);
            CHECK(taken <= planned + (8 << 20));
            CHECK(taken >= 0.95 * planned);  // and it is used
        };
        sharded ? check(zp::zero<3>) : check(zp::zero<0>);
    }
}

TEST_CASE("what is read from a file does not stay in memory", "[law]") {
    allocations_of_steps<zp::Zero<2>, zp::Bf16>();  // as above
    const zp::testing::TemporaryFolder folder;
    zp::save_pretrained(zp::T5<float>::with_random_weights(config_of(320), 1), folder / "model");
    const std::size_t file = std::filesystem::file_size(folder / "model/model.safetensors");
    REQUIRE(file >= 40'000'000);
    std::vector<std::size_t> planned(2);
    std::size_t before = resident_bytes(), taken = 0;
    zp::run_ranks(2, [&](zp::ThreadComm comm) {
        auto model = zp::T5<zp::Bf16>::from_pretrained(
            folder / "model", {.micro_batch = 2, .max_source_length = 32, .max_target_length = 16});
        zp::Trainer trainer{model, comm, zp::zero<2>, zp::AdamW{}};
        for (int i = 0; i < 2; ++i) trainer.step(batch_of(2, 32, 16));
        planned[static_cast<std::size_t>(comm.rank())] = trainer.plan().total();
        zp::save_pretrained(trainer, folder / "saved");
        if (comm.rank() == 0) taken = resident_bytes() - before;
        comm.barrier();
    });
    INFO("taken " << taken << ", planned " << planned[0] << " and " << planned[1]);
    CHECK(taken <= planned[0] + planned[1] + (8 << 20));
}
#endif

TEST_CASE("a step beside a frozen encoder takes what is planned, and the encoder less", "[law]") {
    for (const bool recompute : {false, true}) {
        std::size_t planned[2] = {};
        for (const bool frozen : {false, true}) {
            zp::T5Options options{.micro_batch = 2,
                                  .max_source_length = 40,
                                  .max_target_length = 24,
                                  .recompute = recompute};
            if (frozen) options.frozen = {"encoder.*", "shared.weight"};
            auto model = zp::T5<float>::with_random_weights(config_of(64), 1, options);
            zp::SelfComm comm;
            zp::Trainer trainer{model, comm, zp::zero<2>};
            trainer.step(batch_of(2, 40, 24));
            planned[frozen] = model.activation_bytes();
            CHECK(model.arena(0).peak() == planned[frozen]);
        }
        CHECK(planned[1] < planned[0]);
    }
}

TEST_CASE("recomputation takes what is planned: a stream a block and one block's activations",
          "[law]") {
    std::size_t peaks[2][3] = {};
    for (const bool recompute : {false, true})
        for (const std::size_t layers : {2, 3, 4}) {
            zp::T5Config config = config_of(64);
            config.num_layers = config.num_decoder_layers = layers;
            auto model = zp::T5<float>::with_random_weights(config, 1,
                                                            {.micro_batch = 2,
                                                             .max_source_length = 40,
                                                             .max_target_length = 24,
                                                             .recompute = recompute});
            zp::SelfComm comm;
            zp::Trainer trainer{model, comm, zp::zero<2>};
            trainer.step(batch_of(2, 40, 24));
            const std::size_t planned = model.activation_bytes();
            CHECK(model.arena(0).peak() == planned);
            peaks[recompute][layers - 2] = planned;
        }
    const std::size_t stream = 2 * (40 + 24) * 64 * sizeof(float);
    CHECK(peaks[1][1] - peaks[1][0] == stream);
    CHECK(peaks[1][2] - peaks[1][1] == stream);
    CHECK(peaks[0][1] - peaks[0][0] > 10 * stream);
}
