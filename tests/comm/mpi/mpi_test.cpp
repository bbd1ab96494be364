// SPDX-License-Identifier: Apache-2.0
/// \file Run as 1 to 4 processes; every process asserts on its own findings.
#include <zeropp/comm/mpi.hpp>
#include <zeropp/comm/thread.hpp>
#include <zeropp/trainer.hpp>

#include "laws/communicator_laws.hpp"
#include "support/catch.hpp"

using namespace zeropp;

TEST_CASE("MPI ranks obey the laws", "[law]") {
    CHECK(laws::check_communicator(MpiComm{}) == "");
    int still = 0;
    MPI_Initialized(&still);
    int finalized = 1;
    MPI_Finalized(&finalized);
    CHECK(still == 1);
    CHECK(finalized == 0);  // the caller initialised MPI, and keeps it
}

TEST_CASE("workspace that is lent, short or absent leaves the same bits") {
    MpiComm comm{MPI_COMM_WORLD};
    const auto world = static_cast<std::size_t>(comm.size());
    for (const std::size_t lent :
         {std::size_t{0}, world * 100 * 4, world * 250 * 4, std::size_t{1} << 20}) {
        std::vector<std::byte> workspace(lent);
        comm.use_workspace(workspace);
        std::vector<std::vector<float>> out(10, std::vector<float>(100));
        const std::vector<float> in = laws::values_of<float>(comm.rank(), world * 100);
        std::vector<MpiComm::Pending> pending;
        for (auto& to : out)
            pending.push_back(
                comm.reduce_scatter(std::span<const float>{in}, std::span<float>{to}));
        for (std::size_t i = pending.size(); i-- > 0;) pending[i].wait();
        const auto all = laws::reduced_by_definition<float, float>(comm.size(), world * 100);
        const auto first = all.begin() + comm.rank() * 100;
        for (const auto& to : out) CHECK(laws::same_bits(to, {first, first + 100}));
        comm.use_workspace({});
    }
}

TEST_CASE("sizes, roots and peers that do not fit are refused with both numbers") {
    MpiComm comm;
    std::vector<float> in(7), out(3);
    const std::string expected = std::to_string(3 * comm.size());
    CHECK_THROWS_WITH(
        comm.reduce_scatter(std::span<const float>{in}, std::span<float>{out}),
        "zeropp: MpiComm::reduce_scatter: in has 7 elements, expected size() * out = " + expected);
    CHECK_THROWS_WITH(comm.broadcast({}, -1), Catch::Contains("root is -1, expected 0 to "));
    CHECK_THROWS_WITH(comm.send({}, comm.rank()), Catch::Contains("expected another rank"));
}

TEST_CASE("parts of more than 2 GiB are told to MPI in blocks") {
    const detail::MpiState state{detail::MpiRuntime::get(), MPI_COMM_SELF};
    CHECK(state.count_of(INT_MAX).first == INT_MAX);
    const auto [count, type] = state.count_of(std::size_t{3} << 30);
    CHECK(count == (3 << 30) / 256u);
    int bytes = 0;
    MPI_Type_size(type, &bytes);
    CHECK(bytes == 256);
    CHECK_THROWS_WITH(state.count_of((std::size_t{3} << 30) + 1),
                      "zeropp: MpiComm: a part has 3221225473 bytes, expected a multiple of 256 "
                      "above 2 GiB");
}

TEST_CASE("more operations than are kept, and a message that arrives after all of them") {
    MpiComm comm;
    const bool first = comm.rank() == 0, last = comm.rank() == comm.size() - 1;
    int late = 0;
    MpiComm::Pending message;
    if (first && !last)
        message = comm.recv(std::as_writable_bytes(std::span{&late, 1}), comm.size() - 1);
    std::vector<int> all(static_cast<std::size_t>(comm.size()) * 500);
    std::vector<MpiComm::Pending> pending;
    const int mine = comm.rank();
    for (std::size_t i = 0; i < 500; ++i) {
        const std::size_t world = all.size() / 500;
        pending.push_back(
            comm.all_gather(std::as_bytes(std::span{&mine, 1}),
                            std::as_writable_bytes(std::span{all}.subspan(i * world, world))));
        if (i >= 40) pending[i - 40].wait();
    }
    for (auto& each : pending) each.wait();
    const int sent = 5;
    if (last && !first) comm.send(std::as_bytes(std::span{&sent, 1}), 0).wait();
    message.wait();
    CHECK(late == (first && !last ? 5 : 0));
    for (std::size_t i = 0; i < all.size(); ++i)
        if (all[i] != static_cast<int>(i) % comm.size()) FAIL("gather " << i);
}

TEST_CASE("a trainer that is gone takes back the workspace that it lent") {
    MpiComm comm;
    std::vector<float> a(200'000), da(a.size()), b(a.size()), db(a.size());
    Spans first{a, da}, second{b, db};
    Trainer outer{first, comm, zero<2>, Sgd{.lr = 1}, ClipNorm{0}};
    {
        Trainer inner{second, comm, zero<2>, Sgd{}};
        inner.step();
    }
    std::fill(da.begin(), da.end(), 1.0f);
    outer.step();
    CHECK(a == std::vector<float>(a.size(), -1.0f));
}
