// SPDX-License-Identifier: Apache-2.0
/// \file Processes leave the same bits as threads, at every stage. Run as 1 to 4 processes.
#include <zeropp/comm/mpi.hpp>

#include "support/catch.hpp"
#include "zero/training.hpp"

using namespace zeropp;
using namespace zeropp::testing;

namespace {

template <class S, class E>
Result train_on_mpi(MpiComm& comm, const Settings& settings) {
    Result result{comm.size()};
    train_rank<S, AdamW, E>(comm, settings, AdamW{.lr = 1e-2f}, result);
    return result;
}

template <class E>
void processes_agree_with_threads(Settings settings) {
    MpiComm comm;
    settings.world = comm.size();
    const Result of_processes[] = {
        train_on_mpi<Zero<0>, E>(comm, settings), train_on_mpi<Zero<1>, E>(comm, settings),
        train_on_mpi<Zero<2>, E>(comm, settings), train_on_mpi<Zero<3>, E>(comm, settings)};
    if (comm.rank() != 0) return;
    const Result of_threads = train<Zero<0>, AdamW, E>(settings, AdamW{.lr = 1e-2f});
    REQUIRE(of_threads.norms.size() == static_cast<std::size_t>(settings.steps));
    for (const Result& result : of_processes) CHECK(result.same_values(of_threads));
    CHECK(of_processes[0].bytes_sent[0] == of_threads.bytes_sent[0]);
}

}  // namespace

TEST_CASE("processes leave the same bits as threads at every stage", "[law]") {
    using Reduce = Accumulation::Reduce;
    for (const Accumulation& accumulation :
         {Accumulation{}, {2, Reduce::every_micro_step}, {2, Reduce::once_a_step}}) {
        processes_agree_with_threads<float>({.accumulation = accumulation});
        processes_agree_with_threads<Bf16>({.accumulation = accumulation, .clip = 1e-3f});
    }
    processes_agree_with_threads<float>({.bucket = 300, .width = 31, .frozen = true});
    processes_agree_with_threads<Bf16>({.frozen = true});
}

TEST_CASE("a trainer that goes while an exception passes leaves the processes to the next") {
    MpiComm comm;
    const auto step = [](auto& trainer) { return trainer.step(MlpBatch{.seed = 1}); };
    Mlp<float> model{31, 4, false};
    CHECK_THROWS_WITH(([&] {
                          Trainer trainer{model, comm, zero<2>, Buckets{300}};
                          step(trainer);
                          fail(Errc::io, "user: enough, expected more");
                      }()),
                      "zeropp: user: enough, expected more");
    Trainer trainer{model, comm, zero<2>, Buckets{300}};
    for (int i = 0; i < 40; ++i) CHECK(step(trainer).updated);
}
