// SPDX-License-Identifier: Apache-2.0
/// \file Law: what is planned for a T5, before there is one, is what its training then takes and
/// sends; the micro-batch that is said to fit fits, and one more does not.
#include <string>
#include <vector>

#include <zeropp/comm/thread.hpp>
#include <zeropp/io/plan_picture.hpp>
#include <zeropp/io/plan_report.hpp>
#include <zeropp/io/training_plan.hpp>
#include <zeropp/model/t5_activations.hpp>
#include <zeropp/optim/adafactor.hpp>
#include <zeropp/trainer.hpp>

#include "support/catch.hpp"
#include "support/temporary.hpp"

namespace zp = zeropp;
using zp::testing::message_of;

namespace {

zp::T5Config tiny() {
    zp::T5Config config;
    config.vocab_size = 96;
    config.d_model = 24;
    config.d_kv = 8;
    config.d_ff = 40;
    config.num_heads = 2;
    config.num_layers = 2;
    config.num_decoder_layers = 1;
    config.feed_forward_proj = zp::T5Config::FeedForward::gated_gelu;
    config.tie_word_embeddings = false;
    return config;
}
const zp::T5Options limits{.micro_batch = 2, .max_source_length = 12, .max_target_length = 7};
using Patterns = std::vector<std::string>;  // of frozen parameters

zp::T5Options limits_of(const zp::PlannedRun& run, const Patterns& frozen = {}) {
    zp::T5Options options = limits;
    options.recompute = run.recompute;
    options.frozen = frozen;
    return options;
}

zp::Seq2SeqBatch largest_batch() {
    zp::Seq2SeqBatch batch;
    batch.size = limits.micro_batch;
    batch.source_length = limits.max_source_length;
    batch.target_length = limits.max_target_length;
    batch.source_ids.assign(batch.size * batch.source_length, 7);
    batch.source_mask.assign(batch.source_ids.size(), 1);
    batch.labels.assign(batch.size * batch.target_length, 9);
    for (std::size_t row = 0; row < batch.size; ++row) batch.ordinals.push_back(row);
    return batch;
}

zp::PlanRequest request_of(std::size_t ranks, const zp::AnyOptimizer& optimizer = zp::AdamW{},
                           int micro_steps = 1, const Patterns& frozen = {}) {
    zp::PlanRequest request;
    request.setup.units = zp::T5Layout{tiny(), frozen}.units();
    request.setup.ranks = ranks;
    request.setup.optimizer = optimizer;
    request.setup.options.get<zp::Accumulation>().steps = micro_steps;
    request.setup.options.get<zp::Buckets>().elements = 3000;
    request.precisions = zp::t5_precisions();
    request.micro_batch = limits.micro_batch;
    request.recomputes = true;
    request.activations = [=](zp::DType precision, std::size_t micro_batch, bool recompute) {
        zp::T5Options options = limits;
        options.micro_batch = micro_batch;
        options.frozen = frozen;
        return zp::t5_activation_bytes(tiny(), options, precision, recompute);
    };
    return request;
}

/// What one rank was measured to take and send.
struct Measured {
    zp::MemoryPlan plan;
    std::size_t state = 0, activations = 0;
    std::uint64_t sent = 0;  ///< of the second step
};

/// Of a trainer that is allowed `memory_limit` bytes.
template <class E, class S, class O>
std::vector<Measured> measure(const zp::PlannedRun& run, std::size_t ranks, int micro_steps,
                              std::size_t memory_limit, const Patterns& frozen = {}) {
    std::vector<Measured> measured(ranks);
    zp::run_ranks(static_cast<int>(ranks), [&](zp::ThreadComm comm) {
        Measured& mine = measured[static_cast<std::size_t>(comm.rank())];
        auto model = zp::T5<E>::with_random_weights(tiny(), 1, limits_of(run, frozen));
        zp::Trainer trainer{model,
                            comm,
                            S{},
                            O{},
                            zp::Accumulation{micro_steps},
                            zp::Buckets{3000},
                            zp::MemoryLimit{memory_limit}};
        std::uint64_t before = 0;
        for (int i = 0; i < 2 * micro_steps; ++i) {
            trainer.settle();
            if (i == micro_steps) before = comm.bytes_sent();
            trainer.step(largest_batch());
        }
        mine.sent = comm.bytes_sent() - before;
        mine.plan = trainer.plan();
        mine.state = trainer.engine().bytes_reserved();
        mine.activations = model.arena(0).capacity();
    });
    return measured;
}

template <class E, class S, class O>
void agrees(const zp::PlannedRun& run, std::size_t ranks, int micro_steps, const Patterns& frozen) {
    INFO(run.name() << ", " << O::name << ", " << ranks << " ranks, frozen "
                    << (frozen.empty() ? "nothing" : frozen.back()));
    for (const Measured& one :
         measure<E, S, O>(run, ranks, micro_steps, run.memory.total(), frozen)) {
        CHECK(one.state == run.state);
        CHECK(one.activations == run.memory.bytes_of("activations"));
        CHECK(one.sent == run.sent.total());
        CHECK(one.plan.total() == run.memory.total());
        for (const zp::MemoryPlan::Row& row : one.plan.rows())
            CHECK(row.bytes == run.memory.bytes_of(row.name));
    }
}

template <class O>
void agrees_everywhere(int micro_steps, const Patterns& frozen = {}) {
    for (const std::size_t ranks : {1, 2, 3, 4})
        for (const zp::PlannedRun& run : plan_runs(request_of(ranks, O{}, micro_steps, frozen))) {
            const auto at_stage = [&](auto stage) {
                using S = decltype(stage);
                if (run.stage != S::number) return;
                if (run.precision == zp::DType::fp32)
                    agrees<float, S, O>(run, ranks, micro_steps, frozen);
                else if (run.precision == zp::DType::bf16)
                    agrees<zp::Bf16, S, O>(run, ranks, micro_steps, frozen);
                else if constexpr (zp::Products<zp::OneDnn, zp::Half>)
                    agrees<zp::Half, S, O>(run, ranks, micro_steps, frozen);
                else
                    FAIL("no run here measures " << run.name());
            };
            at_stage(zp::Zero<0>{});
            at_stage(zp::Zero<1>{});
            at_stage(zp::Zero<2>{});
            at_stage(zp::Zero<3>{});
        }
}

}  // namespace

TEST_CASE("a T5's training takes and sends what was planned", "[law]") {
    agrees_everywhere<zp::AdamW>(1);
    agrees_everywhere<zp::AdamW>(2);
    agrees_everywhere<zp::Adafactor>(1);
}

TEST_CASE("a T5's training with frozen units takes and sends what was planned", "[law]") {
    for (const Patterns& frozen :
         {Patterns{"shared.weight", "encoder.*"}, Patterns{"encoder.*"}, Patterns{"decoder.*"},
          Patterns{"shared.weight", "decoder.*", "encoder.*"}})
        agrees_everywhere<zp::AdamW>(1, frozen);
    agrees_everywhere<zp::AdamW>(2, {"shared.weight", "encoder.*"});
}

TEST_CASE("a trainer refuses one byte less than is planned") {
    const zp::PlannedRun run = plan_runs(request_of(2))[2];
    REQUIRE(run.stage == 2);
    const std::size_t total = run.memory.total();
    const std::string said =
        message_of([&] { measure<float, zp::Zero<2>, zp::AdamW>(run, 2, 1, total - 1); });
    CAPTURE(said);  // by whichever rank says it first
    CHECK(said.starts_with("zeropp: Trainer: the plan of rank "));
    CHECK(said.find(" is " + std::to_string(total) + " bytes, expected at most " +
                    std::to_string(total - 1) + " (1 too many); ") != std::string::npos);
}

TEST_CASE("the largest micro-batch fits and one more does not") {
    for (const std::size_t memory : {400'000, 1'000'000, 7'654'321, 30'000'000}) {
        zp::PlanRequest request = request_of(2);
        request.device_memory = memory;
        for (const zp::PlannedRun& run : plan_runs(request)) {
            INFO(run.name() << " within " << memory);
            const auto total = [&](std::size_t micro_batch) {
                return run.state + request.activations(run.precision, micro_batch, run.recompute);
            };
            const std::size_t largest = run.largest_micro_batch;
            if (largest != 0) CHECK(total(largest) <= memory);
            CHECK(total(largest + 1) > memory);
        }
    }
}

TEST_CASE("no micro-batch above 16,384 is looked for") {
    zp::PlanRequest request = request_of(1, zp::Sgd{});
    request.precisions = {zp::DType::fp32};
    request.device_memory = std::size_t{1} << 50;
    request.activations = [](zp::DType, std::size_t micro_batch, bool) { return micro_batch; };
    CHECK(plan_runs(request)[0].largest_micro_batch == zp::largest_planned_micro_batch);
}

TEST_CASE("where nothing fits, by how much and what would fit is said") {
    zp::PlanRequest request = request_of(1);
    request.precisions = {zp::DType::fp32};
    request.setup.units = {{"a", {{"a", {1 << 20}}}}, {"b", {{"b", {1 << 20}}}}};
    request.recomputes = false;
    request.activations = [](zp::DType, std::size_t micro_batch, bool) {
        return micro_batch << 20;
    };
    const auto refusal = [&](std::size_t memory) {
        request.device_memory = memory;
        return message_of([&] { require_one_fits(request, plan_runs(request)); });
    };
    CHECK(
        refusal(std::size_t{33} << 20) ==
        "zeropp: plan: a rank takes at least 33.0 MiB (stage 0, fp32, micro-batch 1), expected at "
        "most 33.0 MiB, 128 B less; it would fit on 2 ranks at stage 1");
    CHECK(
        refusal(std::size_t{2} << 20) ==
        "zeropp: plan: a rank takes at least 33.0 MiB (stage 0, fp32, micro-batch 1), expected at "
        "most 2.0 MiB, 31.0 MiB less; on 512 ranks at stage 1 it would still take "
        "17.0 MiB, use shorter sequences");
    CHECK(refusal(std::size_t{34} << 20) == "");
    request.setup.ranks = 1 << 15;
    CHECK(
        refusal(std::size_t{2} << 20) ==
        "zeropp: plan: a rank takes at least 66.0 MiB (stage 1, fp32, micro-batch 1), expected at "
        "most 2.0 MiB, 64.0 MiB less; more ranks do not help, use shorter sequences");
    CHECK(refusal(0) == "");
    request.micro_batch = 0;
    CHECK(refusal(0) == "zeropp: plan: micro-batch is 0, expected at least 1");
}

TEST_CASE("JSON and picture hold every number of the plan") {
    zp::PlanReport report{.model = "a<b&c",
                          .optimizer = "AdamW",
                          .communicator = "thread",
                          .source_length = 12,
                          .target_length = 7,
                          .deepspeed = zp::deepspeed_model(request_of(3).setup.units, 3, 1),
                          .request = request_of(3)};
    report.runs = plan_runs(report.request);
    const zp::Json json = plan_json(report);
    REQUIRE(json.at("runs").size() == report.runs.size());
    for (std::size_t i = 0; i < report.runs.size(); ++i) {
        const zp::Json& run = json.at("runs")[i];
        CHECK(run.at("stage") == report.runs[i].stage);
        CHECK(run.at("total_bytes") == report.runs[i].memory.total());
        CHECK(run.at("sent_bytes_a_step").at("total") == report.runs[i].sent.total());
        std::size_t sum = 0;
        for (const zp::Json& bytes : run.at("bytes")) sum += bytes.get<std::size_t>();
        CHECK(sum == report.runs[i].memory.total());
        CHECK_FALSE(run.contains("largest_micro_batch"));
    }
    const std::string svg = plan_svg(report);
    CHECK(svg.find("a&lt;b&amp;c on 3 ranks") != std::string::npos);
    for (const zp::PlannedRun& run : report.runs)
        for (const zp::MemoryPlan::Row& row : run.memory.rows())
            CHECK(svg.find("<title>" + run.name() + ": " + row.name + " " +
                           zp::byte_size_text(row.bytes) + "</title>") != std::string::npos);
}
