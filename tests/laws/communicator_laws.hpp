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
#include <zeropp/core/rng.hpp>

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

template <Element E>
std::vector<E> values_of(int rank, std::size_t count) {
    std::vector<E> values(count);
    for (std::size_t i = 0; i < count; ++i)
        values[i] = static_cast<E>(normal_at(17, static_cast<std::uint64_t>(rank), i));
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
    std::vector<std::vector<E>> all;
    for (int r = 0; r < world; ++r) all.push_back(values_of<E>(r, count));
    std::vector<G> result(count);
    for (std::size_t i = 0; i < count; ++i) {
        float sum = 0;
        for (const auto& values : all)
            sum = std::fma(static_cast<float>(values[i]), 1.0f / static_cast<float>(world), sum);
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
}

template <Communicator C>
void check_movement(C& comm, Findings& findings) {
    const int world = comm.size(), rank = comm.rank();
    for (int root = 0; root < world; ++root) {
        std::vector<float> shared = values_of<float>(rank, 33);
        comm.broadcast(std::as_writable_bytes(std::span{shared}), root).wait();
        findings.expect(same_bits(shared, values_of<float>(root, 33)), "broadcast from ", root,
                        " differs");
    }
    std::vector<int> in(static_cast<std::size_t>(world)), out(in.size());
    for (int r = 0; r < world; ++r) in[static_cast<std::size_t>(r)] = 100 * rank + r;
    comm.all_to_all(std::as_bytes(std::span{in}), std::as_writable_bytes(std::span{out})).wait();
    for (int r = 0; r < world; ++r)
        findings.expect(out[static_cast<std::size_t>(r)] == 100 * r + rank, "all_to_all from ", r,
                        " is ", out[static_cast<std::size_t>(r)]);

    if (world > 1) {  // a ring of messages, even ranks first
        const int next = (rank + 1) % world, previous = (rank + world - 1) % world;
        int received = -1;
        const int mine = 7 * rank;
        const auto send = [&] { comm.send(std::as_bytes(std::span{&mine, 1}), next).wait(); };
        const auto receive = [&] {
            comm.recv(std::as_writable_bytes(std::span{&received, 1}), previous).wait();
        };
        if (rank == 0)
            send(), receive();
        else
            receive(), send();
        findings.expect(received == 7 * previous, "received ", received, " from ", previous);
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
    for (const std::size_t shard : {1, 17, 128, 1000, 300'000}) {
        check_reduction<float, float>(comm, shard, findings);
        check_reduction<Bf16, Bf16>(comm, shard, findings);
        check_reduction<Bf16, float>(comm, shard, findings);
    }
    check_reduction<Half, Half>(comm, 1000, findings);
    check_reduction<Half, float>(comm, 1000, findings);
    check_order(comm, findings);
    check_movement(comm, findings);
    return findings.text();
}

}  // namespace zeropp::laws
