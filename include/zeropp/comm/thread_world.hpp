// SPDX-License-Identifier: Apache-2.0
/// \file What the thread ranks of one world share: published operations, waiting, and failure.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <span>
#include <thread>
#include <utility>
#include <vector>

#include <zeropp/core/error.hpp>

namespace zeropp::detail {

/// Thrown in ranks that wait for one that has failed; never reaches the user.
class PeerFailed : public Error {
public:
    PeerFailed()
        : Error{Errc::communication,
                "ThreadComm: another rank has failed, expected all ranks to go on"} {}
};

/// What a world and the worlds split off it share: the first failure, and the pulse that waiting
/// ranks look at.
class Failure {
public:
    bool has_happened() const noexcept { return happened_.load(std::memory_order_acquire); }
    void record(std::exception_ptr cause) {
        const std::lock_guard lock{mutex_};
        if (!cause_) cause_ = std::move(cause);
        happened_.store(true, std::memory_order_release);
    }
    std::exception_ptr cause() const {
        const std::lock_guard lock{mutex_};
        return cause_;
    }
    /// Waits until `holds()`; throws PeerFailed when a rank has failed.
    template <class Holds>
    void until(Holds holds) {
        for (int spins = 0;; ++spins) {
            const std::uint32_t seen = pulse_.load(std::memory_order_acquire);
            if (holds()) return;
            if (has_happened()) throw PeerFailed{};
            if (spins < 64)
                pause();
            else if (spins < 96)
                std::this_thread::yield();
            else
                pulse_.wait(seen, std::memory_order_acquire);
        }
    }
    void wake() {
        pulse_.fetch_add(1, std::memory_order_acq_rel);
        pulse_.notify_all();
    }

private:
    static void pause() {
#if defined(__x86_64__)
        __builtin_ia32_pause();
#endif
    }

    mutable std::mutex mutex_;
    std::exception_ptr cause_;
    std::atomic<bool> happened_{false};
    alignas(128) std::atomic<std::uint32_t> pulse_{0};
};

enum class Verb : std::uint8_t { reduce_scatter, all_gather, broadcast, all_to_all, barrier };

constexpr const char* name_of(Verb verb) {
    constexpr const char* names[] = {"reduce_scatter", "all_gather", "broadcast", "all_to_all",
                                     "barrier"};
    return names[static_cast<int>(verb)];
}

class ThreadWorld;

/// One operation as its rank published it.
struct Operation {
    using Execute = void (*)(ThreadWorld&, const Operation&, std::uint64_t sequence);

    Verb verb{};
    int rank = 0, root = 0;
    std::span<const std::byte> in;
    std::span<std::byte> out;
    Execute execute = nullptr;  ///< this rank's reads of its peers' buffers
};

/// Operations are numbered alike on every rank. A rank publishes its part, executes its reads once
/// all parts are there, in order, and is done with a number when every rank has executed it.
class ThreadWorld {
public:
    static constexpr std::size_t ring = 64;

    ThreadWorld(int size, std::shared_ptr<Failure> failure)
        : failure_{std::move(failure)}, ranks_(static_cast<std::size_t>(size)) {
        for (Rank& rank : ranks_) rank.inbox = std::vector<Mail>(static_cast<std::size_t>(size));
    }

    int size() const noexcept { return static_cast<int>(ranks_.size()); }
    Failure& failure() noexcept { return *failure_; }
    const std::shared_ptr<Failure>& shared_failure() const noexcept { return failure_; }
    std::atomic<std::uint64_t>& bytes_sent(int rank) { return at(rank).bytes_sent; }

    /// Publishes this rank's part of its next operation; returns the operation's number, from 1.
    std::uint64_t start(const Operation& operation) {
        Rank& me = at(operation.rank);
        const std::uint64_t sequence = ++me.started;
        if (sequence > ring) wait(operation.rank, sequence - ring);
        me.operations[sequence % ring] = operation;
        me.published.store(sequence, std::memory_order_release);
        wake();
        return sequence;
    }
    bool ready(int rank, std::uint64_t sequence) {
        progress(rank, sequence);
        return is_done(sequence);
    }
    /// Executes this rank's operations up to `sequence` in order, then waits for its peers' reads.
    void wait(int rank, std::uint64_t sequence) {
        until([&] {
            progress(rank, sequence);
            return is_done(sequence);
        });
    }
    std::uint64_t started(int rank) { return at(rank).started; }
    const Operation& operation(int rank, std::uint64_t sequence) const {
        return ranks_[static_cast<std::size_t>(rank)].operations[sequence % ring];
    }

    template <class Holds>
    void until(Holds holds) {
        failure_->until(holds);
    }
    void wake() { failure_->wake(); }
    /// Executes what this rank has started and all have published.
    void progress(int rank, std::uint64_t last) {
        Rank& me = at(rank);
        while (me.executed.load(std::memory_order_relaxed) < last) {
            const std::uint64_t next = me.executed.load(std::memory_order_relaxed) + 1;
            for (const Rank& peer : ranks_)
                if (peer.published.load(std::memory_order_acquire) < next) return;
            const Operation& mine = me.operations[next % ring];
            check(mine, next);
            if (mine.execute != nullptr) mine.execute(*this, mine, next);
            me.executed.store(next, std::memory_order_release);
            wake();
        }
    }

    /// One message in flight from one rank to another.
    struct Mail {
        std::span<const std::byte> message;
        std::atomic<std::uint64_t> sent{0}, received{0};
    };
    Mail& mail(int from, int to) { return at(to).inbox[static_cast<std::size_t>(from)]; }

private:
    struct alignas(128) Rank {
        std::atomic<std::uint64_t> published{0}, executed{0};
        std::uint64_t started = 0;  ///< this rank's own
        std::atomic<std::uint64_t> bytes_sent{0};
        std::array<Operation, ring> operations;
        std::vector<Mail> inbox;
    };

    Rank& at(int rank) { return ranks_[static_cast<std::size_t>(rank)]; }
    bool is_done(std::uint64_t sequence) const {
        for (const Rank& rank : ranks_)
            if (rank.executed.load(std::memory_order_acquire) < sequence) return false;
        return true;
    }
    void check(const Operation& mine, std::uint64_t sequence) const {
        for (std::size_t r = 0; r < ranks_.size(); ++r) {
            const Operation& other = ranks_[r].operations[sequence % ring];
            require(other.verb == mine.verb && other.in.size() == mine.in.size() &&
                        other.root == mine.root,
                    Errc::communication, "ThreadComm: operation ", sequence, " is ",
                    name_of(mine.verb), " of ", mine.in.size(), " bytes (root ", mine.root,
                    ") on rank ", mine.rank, " and ", name_of(other.verb), " of ", other.in.size(),
                    " bytes (root ", other.root, ") on rank ", r,
                    ", expected the same on every rank");
        }
    }
    std::shared_ptr<Failure> failure_;
    std::vector<Rank> ranks_;
};

}  // namespace zeropp::detail
