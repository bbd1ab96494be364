// SPDX-License-Identifier: Apache-2.0
/// \file `ThreadComm`: ranks are threads of one process and read each other's buffers.
#pragma once

#include <algorithm>
#include <cstring>
#include <exception>
#include <memory>
#include <numeric>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include <zeropp/comm/concepts.hpp>
#include <zeropp/comm/reduce.hpp>
#include <zeropp/comm/thread_world.hpp>
#include <zeropp/core/error.hpp>

namespace zeropp {

/// Made by `run_ranks`. Copies are the same rank. No operation copies to a staging buffer or
/// allocates.
class ThreadComm {
public:
    /// Waiting in any order is safe: waiting for one operation does this rank's part of all earlier
    /// ones. The communicator outlives it.
    class Pending {
    public:
        Pending() = default;
        Pending(Pending&& other) noexcept
            : world_{std::exchange(other.world_, nullptr)},
              mail_{other.mail_},
              rank_{other.rank_},
              number_{other.number_} {}
        Pending& operator=(Pending&& other) noexcept {
            std::swap(world_, other.world_);
            std::swap(mail_, other.mail_);
            std::swap(rank_, other.rank_);
            std::swap(number_, other.number_);
            return *this;
        }
        /// Does not wait for the operation. While an exception passes, or after the world has
        /// failed, it waits for peers to stop reading: the buffers may go next.
        ~Pending() {
            if (world_ != nullptr) world_->drop(std::uncaught_exceptions() > 0);
        }

        bool ready() {
            if (world_ != nullptr && (mail_ != nullptr ? world_->ready(rank_, *mail_, number_)
                                                       : world_->ready(rank_, number_)))
                world_ = nullptr;
            return world_ == nullptr;
        }
        void wait() {
            if (world_ == nullptr) return;
            if (mail_ != nullptr)
                world_->wait(rank_, *mail_, number_);
            else
                world_->wait(rank_, number_);
            world_ = nullptr;
        }
        template <Device D>
        void wait_on(const D&) {
            wait();
        }

    private:
        friend class ThreadComm;
        Pending(detail::ThreadWorld* world, detail::Mail* mail, int rank, std::uint64_t number)
            : world_{world}, mail_{mail}, rank_{rank}, number_{number} {}

        detail::ThreadWorld* world_ = nullptr;  ///< null: done
        detail::Mail* mail_ = nullptr;          ///< of a send or recv
        int rank_ = 0;
        std::uint64_t number_ = 0;
    };

    int rank() const noexcept { return rank_; }
    int size() const noexcept { return world_->size(); }
    std::string_view name() const noexcept { return "thread"; }
    std::uint64_t bytes_sent() const noexcept {
        return world_->bytes_sent(rank_).load(std::memory_order_relaxed);
    }
    std::size_t workspace_bytes(std::size_t) const noexcept { return 0; }
    void use_workspace(std::span<std::byte>) noexcept {}
    void return_workspace(std::span<std::byte>) noexcept {}

    template <Element E, Element G>
    Pending reduce_scatter(std::span<E> in, std::span<G> out) {
        return reduce_scatter(std::span<const E>{in}, out);
    }
    /// Collective. Sends (W-1)/W of `in`: each peer reads its slice.
    template <Element E, Element G>
    Pending reduce_scatter(std::span<const E> in, std::span<G> out) {
        require(in.size() == out.size() * ranks(), Errc::shape,
                "ThreadComm::reduce_scatter: in has ", in.size(),
                " elements, expected size() * out = ", ranks() * out.size());
        count(out.size() * sizeof(E) * (ranks() - 1));
        return start(
            detail::Verb::reduce_scatter, std::as_bytes(in), std::as_writable_bytes(out), 0,
            [](detail::ThreadWorld& world, const detail::Operation& mine, std::uint64_t sequence) {
                const std::size_t shard = mine.out.size() / sizeof(G);
                const std::size_t first = shard * static_cast<std::size_t>(mine.rank);
                reduce_in_rank_order<E, G>(
                    world.size(),
                    [&](int r) {
                        return reinterpret_cast<const E*>(world.operation(r, sequence).in.data()) +
                               first;
                    },
                    std::span<G>{reinterpret_cast<G*>(mine.out.data()), shard});
            });
    }
    /// Collective. Sends (W-1) times `in`.
    Pending all_gather(std::span<const std::byte> in, std::span<std::byte> out) {
        require(out.size() == in.size() * ranks(), Errc::shape, "ThreadComm::all_gather: out has ",
                out.size(), " bytes, expected size() * in = ", ranks() * in.size());
        count(in.size() * (ranks() - 1));
        return start(
            detail::Verb::all_gather, in, out, 0,
            [](detail::ThreadWorld& world, const detail::Operation& mine, std::uint64_t sequence) {
                for (int r = 0; r < world.size(); ++r)
                    copy(world.operation(r, sequence).in,
                         mine.out.data() + mine.in.size() * static_cast<std::size_t>(r));
            });
    }
    /// Collective. The root sends (W-1) times `inout`.
    Pending broadcast(std::span<std::byte> inout, int root) {
        require(0 <= root && root < size(), Errc::config, "ThreadComm::broadcast: root is ", root,
                ", expected 0 to ", size() - 1);
        if (root == rank_) count(inout.size() * (ranks() - 1));
        return start(
            detail::Verb::broadcast, inout, inout, root,
            [](detail::ThreadWorld& world, const detail::Operation& mine, std::uint64_t sequence) {
                copy(world.operation(mine.root, sequence).in, mine.out.data());
            });
    }
    /// Collective. Slice r of `in` goes to rank r: sends (W-1)/W of `in`.
    Pending all_to_all(std::span<const std::byte> in, std::span<std::byte> out) {
        require(in.size() == out.size() && in.size() % ranks() == 0, Errc::shape,
                "ThreadComm::all_to_all: in has ", in.size(), " bytes and out ", out.size(),
                ", expected the same multiple of ", ranks());
        count(in.size() / ranks() * (ranks() - 1));
        return start(
            detail::Verb::all_to_all, in, out, 0,
            [](detail::ThreadWorld& world, const detail::Operation& mine, std::uint64_t sequence) {
                const std::size_t slice = mine.in.size() / static_cast<std::size_t>(world.size());
                for (int r = 0; r < world.size(); ++r)
                    copy(world.operation(r, sequence)
                             .in.subspan(slice * static_cast<std::size_t>(mine.rank), slice),
                         mine.out.data() + slice * static_cast<std::size_t>(r));
            });
    }
    /// Collective.
    void barrier() { start(detail::Verb::barrier, {}, {}, 0, nullptr).wait(); }

    /// Done when `peer` has received it: sends `message` once.
    Pending send(std::span<const std::byte> message, int peer) {
        check_peer("send", peer);
        count(message.size());
        detail::Mail& mail = world_->mail(rank_, peer);
        return {world_.get(), &mail, rank_, world_->post(mail, message)};
    }
    Pending recv(std::span<std::byte> message, int peer) {
        check_peer("recv", peer);
        detail::Mail& mail = world_->mail(peer, rank_);
        return {world_.get(), &mail, rank_, world_->await(mail, message)};
    }

    /// Collective. Ranks of one color form a world, ordered by key, then by rank.
    ThreadComm split(int color, int key) {
        struct Card {
            int color, key;
        };
        const Card mine{color, key};
        std::vector<Card> cards(ranks());
        all_gather(std::as_bytes(std::span{&mine, 1}), std::as_writable_bytes(std::span{cards}))
            .wait();
        std::vector<int> group;
        for (int r = 0; r < size(); ++r)
            if (cards[static_cast<std::size_t>(r)].color == color) group.push_back(r);
        std::stable_sort(group.begin(), group.end(), [&](int a, int b) {
            return cards[static_cast<std::size_t>(a)].key < cards[static_cast<std::size_t>(b)].key;
        });
        const auto world = share<detail::ThreadWorld>(group.front(), [&] {
            std::vector<int> members;
            for (const int r : group) members.push_back(world_->number_in_job(r));
            return std::make_shared<detail::ThreadWorld>(world_->job(), std::move(members));
        });
        return {world,
                static_cast<int>(std::find(group.begin(), group.end(), rank_) - group.begin())};
    }

private:
    friend class CudaThreadComm;
    template <class Body>
    friend void run_ranks(int size, Body body, ThreadHook hook);

    ThreadComm(std::shared_ptr<detail::ThreadWorld> world, int rank)
        : world_{std::move(world)}, rank_{rank} {}

    static void copy(std::span<const std::byte> from, std::byte* to) {
        if (from.data() != to && !from.empty()) std::memcpy(to, from.data(), from.size());
    }
    std::size_t ranks() const noexcept { return static_cast<std::size_t>(size()); }
    /// Collective. What the rank `leader` makes; ranks may have different leaders.
    template <class T, class Make>
    std::shared_ptr<T> share(int leader, Make make) {
        std::shared_ptr<T> mine;
        if (rank_ == leader) mine = make();
        const std::shared_ptr<T>* address = &mine;
        std::vector<decltype(address)> addresses(ranks());
        all_gather(std::as_bytes(std::span{&address, 1}),
                   std::as_writable_bytes(std::span{addresses}))
            .wait();
        const std::shared_ptr<T> shared = *addresses[static_cast<std::size_t>(leader)];
        barrier();  // until here the leader's pointer is read
        return shared;
    }
    void count(std::size_t bytes) {
        world_->bytes_sent(rank_).fetch_add(bytes, std::memory_order_relaxed);
    }
    Pending start(detail::Verb verb, std::span<const std::byte> in, std::span<std::byte> out,
                  int root, detail::Operation::Execute execute, void* context = nullptr) {
        return {world_.get(), nullptr, rank_,
                world_->start({verb, rank_, root, in, out, execute, context})};
    }
    void check_peer(const char* verb, int peer) const {
        require(0 <= peer && peer < size() && peer != rank_, Errc::config, "ThreadComm::", verb,
                ": peer is ", peer, ", expected another rank of 0 to ", size() - 1);
    }

    std::shared_ptr<detail::ThreadWorld> world_;
    int rank_;
};
static_assert(Communicator<ThreadComm>);

/// Runs `body(ThreadComm)` once a rank, each on its own thread, and rethrows the first failure. A
/// rank that fails, or returns while others still need it, ends them at their next wait.
template <class Body>
void run_ranks(int size, Body body, ThreadHook hook) {
    require(size > 0, Errc::config, "run_ranks: size is ", size, ", expected at least 1");
    std::vector<int> members(static_cast<std::size_t>(size));
    std::iota(members.begin(), members.end(), 0);
    const auto job = std::make_shared<detail::ThreadJob>(size, std::move(hook));
    const auto world = std::make_shared<detail::ThreadWorld>(job, members);
    std::vector<std::thread> threads;
    threads.reserve(members.size());
    const auto run = [&](int rank) {
        try {
            body(ThreadComm{world, rank});
            job->set_returned(rank);
        } catch (const detail::PeerFailed&) {  // the cause is with the rank it belongs to
        } catch (...) {
            job->fail_with(std::current_exception());
        }
    };
    try {
        for (const int rank : members) threads.emplace_back(run, rank);
    } catch (const std::system_error& error) {
        job->fail_with(std::make_exception_ptr(Error{
            Errc::device, "run_ranks: " + std::string{error.code().message()} + " for thread " +
                              std::to_string(threads.size()) + ", expected " +
                              std::to_string(size) + " threads to be had; use fewer ranks"}));
    }
    for (std::thread& thread : threads) thread.join();
    job->rethrow();
}
template <class Body>
void run_ranks(int size, Body body) {
    run_ranks(size, std::move(body), ThreadHook{});
}

}  // namespace zeropp
