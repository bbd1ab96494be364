// SPDX-License-Identifier: Apache-2.0
/// \file Run as 1 to 4 processes; every process asserts on its own findings.
#include <zeropp/comm/logged.hpp>
#include <zeropp/comm/mpi.hpp>
#include <zeropp/comm/thread.hpp>
#include <zeropp/trainer.hpp>

#include "laws/communicator_laws.hpp"
#include "support/catch.hpp"
#include "support/counted_allocations.hpp"

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

TEST_CASE("MPI ranks with a log obey the laws", "[law]") {
    const auto log = std::make_shared<CommLog>();
    CHECK(laws::check_communicator(LoggedComm{MpiComm{}, log}) == "");
    CHECK(!log->records(CommVerb::reduce_scatter).empty());
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
        comm.return_workspace(workspace);
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

TEST_CASE("parts of more than 2 GiB are told to MPI in blocks and a tail") {
    detail::MpiState state{detail::MpiRuntime::get(), MPI_COMM_WORLD};
    const auto told = [&](std::size_t bytes) {
        detail::MpiState::Slot slot;
        const auto [count, type] = state.count_of(slot, bytes);
        MPI_Count each = 0;
        MPI_Type_size_x(type, &each);
        if (slot.type != MPI_DATATYPE_NULL) MPI_Type_free(&slot.type);
        return std::pair{count, static_cast<std::int64_t>(each)};
    };
    using Told = std::pair<int, std::int64_t>;
    const std::size_t large = std::size_t{3} << 30;
    CHECK(told(INT_MAX) == Told{INT_MAX, 1});
    CHECK(told(large) == Told{large / 256, 256});
    CHECK(told(large + 1) == Told{1, (std::int64_t{3} << 30) + 1});
    CHECK_THROWS_WITH(told(std::size_t{1} << 40),
                      "zeropp: MpiComm: a part has 1099511627776 bytes, expected less than 256 * 2 "
                      "GiB");

    // Such a type moves every byte to its place: here with 2 blocks and a tail of 100 bytes a rank.
    const auto world = static_cast<std::size_t>(state.size);
    const std::size_t bytes = 612;
    std::vector<unsigned char> in(world * bytes), out(world * bytes);
    for (std::size_t i = 0; i < in.size(); ++i)
        in[i] = static_cast<unsigned char>(i * 7 + static_cast<std::size_t>(state.rank));
    detail::MpiState::Slot& slot = state.take();
    const auto [count, type] = state.count_of(slot, bytes, 600);
    CHECK(count == 1);
    MPI_Ialltoall(in.data(), count, type, out.data(), count, type, state.comm, &slot.request);
    state.wait(slot, slot.sequence);
    CHECK(slot.type == MPI_DATATYPE_NULL);
    for (std::size_t i = 0; i < out.size(); ++i) {
        const std::size_t from = i / bytes, sent = static_cast<std::size_t>(state.rank) * bytes;
        if (out[i] != static_cast<unsigned char>((sent + i % bytes) * 7 + from)) FAIL("byte " << i);
    }
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

TEST_CASE("of several workspaces the largest is used, until it is returned") {
    MpiComm comm;
    const auto world = static_cast<std::size_t>(comm.size());
    const std::vector<float> in(world * 100, 1.0f);
    std::vector<float> out(100);
    const auto allocations_of_a_reduction = [&] {
        const std::size_t before = allocations;
        comm.reduce_scatter(std::span<const float>{in}, std::span<float>{out}).wait();
        return allocations - before;
    };
    std::vector<std::byte> first(world * 400), second(world * 800), third(8);
    CHECK(allocations_of_a_reduction() == 1);
    comm.use_workspace(first);
    comm.use_workspace(second);
    comm.use_workspace(third);
    CHECK(allocations_of_a_reduction() == 0);
    comm.return_workspace(second);
    CHECK(allocations_of_a_reduction() == 0);

    // What holds a part of it is complete when it is returned.
    auto pending = comm.reduce_scatter(std::span<const float>{in}, std::span<float>{out});
    out[0] = 0;
    comm.return_workspace(first);
    CHECK(out[0] == 1);
    pending.wait();
    CHECK(allocations_of_a_reduction() == 1);
    comm.return_workspace(third);
}

TEST_CASE("a trainer that is gone leaves the others the workspace that they lent") {
    MpiComm comm;
    std::vector<float> a(200'000), da(a.size()), b(a.size()), db(a.size());
    Spans first{a, da}, second{b, db};
    Trainer outer{first, comm, zero<2>, Sgd{.lr = 1}, ClipNorm{0}};
    {
        Trainer inner{second, comm, zero<2>, Sgd{}};
        inner.step();
    }
    const std::size_t before = allocations;
    std::fill(da.begin(), da.end(), 1.0f);
    outer.step();
    CHECK(allocations == before);
    CHECK(a == std::vector<float>(a.size(), -1.0f));
}
