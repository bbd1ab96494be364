// SPDX-License-Identifier: Apache-2.0
/// \file The laws of `Communicator`, checked on any model of it. Call on every rank; what does not
/// hold is returned as text, for the main thread to assert on.
#pragma once

#include <cmath>
#include <cstring>
#include <sstream>
#include <string>
#include <vector>

#include <zeropp/comm/concepts.hpp>

namespace zeropp::laws {

class Findings {
public:
    template <class... Parts>
    void expect(bool holds, const Parts&... parts) {
        if (holds) return;
        std::ostringstream text;
        (text << ... << parts);
        text_ += text.str() + '\n';
    }
    const std::string& text() const { return text_; }

private:
    std::string text_;
};

/// Between -4 and 4, with all bits of a float in use.
template <Element E>
E value_of(int rank, std::size_t i) {
    std::uint64_t x =
        (i + 1) * 0x9e3779b97f4a7c15u + static_cast<std::uint64_t>(rank + 1) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 29)) * 0x94d049bb133111ebu;
    return static_cast<E>(static_cast<float>(static_cast<std::int32_t>(x >> 32)) * 0x1p-29f);
}

template <Element E>
std::vector<E> values_of(int rank, std::size_t count) {
    std::vector<E> values(count);
    for (std::size_t i = 0; i < count; ++i) values[i] = value_of<E>(rank, i);
    return values;
}

template <class T>
bool same_bits(const std::vector<T>& a, const std::vector<T>& b) {
    return a.size() == b.size() &&
           (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0);
}

/// The definition: mean over ranks, by fma in fp32 in rank order, rounded once.
template <Element E, Element G>
std::vector<G> reduced_by_definition(int world, std::size_t count) {
    std::vector<G> result(count);
    for (std::size_t i = 0; i < count; ++i) {
        float sum = 0;
        for (int r = 0; r < world; ++r)
            sum = std::fma(static_cast<float>(value_of<E>(r, i)), 1.0f / static_cast<float>(world),
                           sum);
        result[i] = static_cast<G>(sum);
    }
    return result;
}

template <Element E, Element G, Communicator C>
void check_reduction(C& comm, std::size_t shard, Findings& findings) {
    const auto world = static_cast<std::size_t>(comm.size()),
               rank = static_cast<std::size_t>(comm.rank());
    std::vector<E> in = values_of<E>(comm.rank(), world * shard);
    const std::vector<G> expected = reduced_by_definition<E, G>(comm.size(), world * shard);
    std::vector<G> out(shard), all(world * shard);
    const std::uint64_t before = comm.bytes_sent();
    comm.reduce_scatter(std::span<const E>{in}, std::span<G>{out}).wait();
    findings.expect(comm.bytes_sent() - before == (world - 1) * shard * sizeof(E),
                    "reduce_scatter of ", shard, " elements a rank counted ",
                    comm.bytes_sent() - before, " bytes");
    findings.expect(
        same_bits(out, {expected.begin() + static_cast<std::ptrdiff_t>(rank * shard),
                        expected.begin() + static_cast<std::ptrdiff_t>((rank + 1) * shard)}),
        "reduce_scatter is not the sum in rank order, ", shard, " elements a rank");
    comm.all_gather(std::as_bytes(std::span{out}), std::as_writable_bytes(std::span{all})).wait();
    findings.expect(comm.bytes_sent() - before == (world - 1) * shard * (sizeof(E) + sizeof(G)),
                    "all_gather counted wrong bytes");
    findings.expect(same_bits(all, expected), "all_gather after reduce_scatter is not the sum, ",
                    shard, " elements a rank");

    std::vector<G> whole = expected;  // in place: my slice is both
    std::fill(whole.begin(), whole.end(), G{});
    std::copy(out.begin(), out.end(), whole.begin() + static_cast<std::ptrdiff_t>(rank * shard));
    comm.all_gather(std::as_bytes(std::span{whole}.subspan(rank * shard, shard)),
                    std::as_writable_bytes(std::span{whole}))
        .wait();
    findings.expect(same_bits(whole, expected), "all_gather in place differs");
    if constexpr (std::same_as<E, G>) {
        comm.reduce_scatter(std::span<const E>{in}, std::span{in}.subspan(rank * shard, shard))
            .wait();
        findings.expect(
            same_bits(out, {in.begin() + static_cast<std::ptrdiff_t>(rank * shard),
                            in.begin() + static_cast<std::ptrdiff_t>((rank + 1) * shard)}),
            "reduce_scatter in place differs");
    }
}

/// More operations than any ring holds, and waits in an order that differs by rank.
template <Communicator C>
void check_order(C& comm, Findings& findings) {
    using Pending = decltype(comm.all_gather(std::span<const std::byte>{}, std::span<std::byte>{}));
    const auto world = static_cast<std::size_t>(comm.size());
    constexpr std::size_t count = 200, batch = 7;
    std::vector<int> in(count), out(count * world);
    for (std::size_t first = 0; first < count; first += batch) {
        std::vector<Pending> pending;
        const std::size_t last = std::min(count, first + batch);
        for (std::size_t i = first; i < last; ++i) {
            in[i] = static_cast<int>(i) * 10 + comm.rank();
            pending.push_back(
                comm.all_gather(std::as_bytes(std::span{in}.subspan(i, 1)),
                                std::as_writable_bytes(std::span{out}.subspan(i * world, world))));
        }
        for (std::size_t i = 0; i < pending.size(); ++i)
            pending[comm.rank() % 2 == 0
                        ? pending.size() - 1 - i
                        : (i + static_cast<std::size_t>(comm.rank())) % pending.size()]
                .wait();
    }
    for (std::size_t i = 0; i < out.size(); ++i)
        findings.expect(out[i] == static_cast<int>(i / world) * 10 + static_cast<int>(i % world),
                        "operation ", i / world, " gathered ", out[i], " from rank ", i % world);
    std::vector<Pending> many;
    for (std::size_t i = 0; i < count; ++i)
        many.push_back(
            comm.all_gather(std::as_bytes(std::span{in}.subspan(i, 1)),
                            std::as_writable_bytes(std::span{out}.subspan(i * world, world))));
    for (Pending& pending : many) pending.wait();
    findings.expect(many.back().ready(), "an operation that was waited for is not ready");
    findings.expect(Pending{}.ready(), "a default-constructed operation is not done");
}

/// Reductions and gathers in flight together, as in a backward pass, waited for in an order that
/// differs by rank; one rank asks `ready()` instead.
template <Communicator C>
void check_mixed(C& comm, Findings& findings) {
    constexpr std::size_t shard = 300, buckets = 5;
    const auto world = static_cast<std::size_t>(comm.size()),
               rank = static_cast<std::size_t>(comm.rank());
    std::vector<std::vector<Bf16>> in(buckets, values_of<Bf16>(comm.rank(), world * shard));
    std::vector<std::vector<float>> out(buckets, std::vector<float>(shard));
    std::vector<float> mine = values_of<float>(comm.rank(), shard), all(world * shard);
    using Gather = decltype(comm.all_gather(std::span<const std::byte>{}, std::span<std::byte>{}));
    using Reduction = decltype(comm.reduce_scatter(std::span<const Bf16>{}, std::span<float>{}));
    std::vector<Reduction> reductions;
    Gather gather;
    for (std::size_t b = 0; b < buckets; ++b) {
        reductions.push_back(
            comm.reduce_scatter(std::span<const Bf16>{in[b]}, std::span<float>{out[b]}));
        if (b == 2)
            gather = comm.all_gather(std::as_bytes(std::span{mine}),
                                     std::as_writable_bytes(std::span{all}));
    }
    if (rank % 3 == 2)
        while (!gather.ready()) {
        }
    if (rank % 2 == 1) gather.wait();
    for (std::size_t b = 0; b < buckets; ++b)
        reductions[rank % 2 == 0 ? b : buckets - 1 - b].wait();
    gather.wait();
    const auto expected = reduced_by_definition<Bf16, float>(comm.size(), world * shard);
    const auto first = expected.begin() + static_cast<std::ptrdiff_t>(rank * shard);
    for (const auto& values : out)
        findings.expect(same_bits(values, {first, first + static_cast<std::ptrdiff_t>(shard)}),
                        "a reduction in flight with others differs");
    for (std::size_t r = 0; r < world; ++r)
        for (std::size_t i = 0; i < shard; ++i)
            if (all[r * shard + i] != value_of<float>(static_cast<int>(r), i))
                return findings.expect(false, "a gather in flight with others differs");
}

template <Communicator C>
void check_movement(C& comm, Findings& findings) {
    const int world = comm.size(), rank = comm.rank();
    const auto others = static_cast<std::uint64_t>(world - 1);
    std::uint64_t sent = comm.bytes_sent();
    const auto expect_sent = [&](const char* verb, std::uint64_t bytes) {
        findings.expect(comm.bytes_sent() - sent == bytes, verb, " counted ",
                        comm.bytes_sent() - sent, " bytes, expected ", bytes);
        sent = comm.bytes_sent();
    };
    for (int root = 0; root < world; ++root) {
        std::vector<float> shared = values_of<float>(rank, 33);
        comm.broadcast(std::as_writable_bytes(std::span{shared}), root).wait();
        findings.expect(same_bits(shared, values_of<float>(root, 33)), "broadcast from ", root,
                        " differs");
        expect_sent("broadcast", rank == root ? 33 * sizeof(float) * others : 0);
    }
    std::vector<int> in(static_cast<std::size_t>(world)), out(in.size());
    for (int r = 0; r < world; ++r) in[static_cast<std::size_t>(r)] = 100 * rank + r;
    comm.all_to_all(std::as_bytes(std::span{in}), std::as_writable_bytes(std::span{out})).wait();
    for (int r = 0; r < world; ++r)
        findings.expect(out[static_cast<std::size_t>(r)] == 100 * r + rank, "all_to_all from ", r,
                        " is ", out[static_cast<std::size_t>(r)]);
    expect_sent("all_to_all", sizeof(int) * others);

    if (world > 1) {  // around a ring: all send before they receive, and a collective in between
        const int next = (rank + 1) % world, previous = (rank + world - 1) % world;
        constexpr std::size_t count = 40;
        std::vector<int> messages(count), received(count, -1);
        for (std::size_t i = 0; i < count; ++i) messages[i] = 1000 * rank + static_cast<int>(i);
        using Message = decltype(comm.send(std::span<const std::byte>{}, next));
        using Place = decltype(comm.recv(std::span<std::byte>{}, previous));
        for (std::size_t first = 0; first < count; first += 10) {
            std::vector<Message> sends;
            std::vector<Place> receives;
            for (std::size_t i = first; i < first + 10; ++i)
                sends.push_back(comm.send(std::as_bytes(std::span{messages}.subspan(i, 1)), next));
            for (std::size_t i = first; i < first + 10; ++i)
                receives.push_back(
                    comm.recv(std::as_writable_bytes(std::span{received}.subspan(i, 1)), previous));
            comm.barrier();
            if (rank % 2 == 0)
                for (Message& message : sends) message.wait();
            for (std::size_t i = receives.size(); i-- > 0;) receives[i].wait();
            for (Message& message : sends) message.wait();
        }
        for (std::size_t i = 0; i < count; ++i)
            findings.expect(received[i] == 1000 * previous + static_cast<int>(i), "message ", i,
                            " from ", previous, " is ", received[i]);
        expect_sent("send", count * sizeof(int));
    }
    C half = comm.split(rank % 2, -rank);  // reversed order
    const int members = (world + 1 - rank % 2) / 2;
    findings.expect(half.size() == members, "split gave a world of ", half.size(), ", expected ",
                    members);
    findings.expect(half.rank() == members - 1 - rank / 2, "split by falling key gave rank ",
                    half.rank());
    std::vector<int> ranks(static_cast<std::size_t>(half.size()));
    half.all_gather(std::as_bytes(std::span{&rank, 1}), std::as_writable_bytes(std::span{ranks}))
        .wait();
    for (std::size_t i = 0; i < ranks.size(); ++i)
        findings.expect(ranks[i] == rank % 2 + 2 * (members - 1 - static_cast<int>(i)),
                        "split: member ", i, " is rank ", ranks[i]);
    comm.barrier();
}

/// Every law on every rank; empty if all hold.
template <Communicator C>
std::string check_communicator(C comm) {
    Findings findings;
    for (const std::size_t shard : {1, 17, 128, 1000, 100'000}) {
        check_reduction<float, float>(comm, shard, findings);
        check_reduction<Bf16, Bf16>(comm, shard, findings);
        check_reduction<Bf16, float>(comm, shard, findings);
    }
    check_reduction<Half, Half>(comm, 1000, findings);
    check_reduction<Half, float>(comm, 1000, findings);
    check_order(comm, findings);
    check_mixed(comm, findings);
    check_movement(comm, findings);
    return findings.text();
}

}  // namespace zeropp::laws
