// SPDX-License-Identifier: Apache-2.0
/// \file What the thread ranks of one world share: published operations and posted messages.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <thread>
#include <utility>
#include <vector>

#include <zeropp/comm/thread_job.hpp>
#include <zeropp/core/error.hpp>

namespace zeropp::detail {

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
    void* context = nullptr;    ///< what `execute` needs beside
};

/// The messages from one rank to another, numbered from 1. The receiver copies number n once both
/// sides have posted it, which ends it for both.
struct Mail {
    static constexpr std::size_t ring = 16;

    int from = 0, to = 0;
    std::atomic<std::uint64_t> sent{0}, received{0};
    std::uint64_t awaited = 0;  ///< the receiver's own
    std::array<std::span<const std::byte>, ring> messages{};
    std::array<std::span<std::byte>, ring> places{};
};

/// Operations are numbered alike on every rank. A rank publishes its part, executes its reads once
/// all parts are there, in order, and is done with a number when every rank has executed it.
class ThreadWorld {
public:
    static constexpr std::size_t ring = 64;

    /// Copies a message, on the receiver's thread; both buffers may be used when it returns.
    using Copy = void (*)(std::byte* to, const std::byte* from, std::size_t bytes);

    /// `members`: the ranks of this world by their number in the job.
    ThreadWorld(
        std::shared_ptr<ThreadJob> job, std::vector<int> members,
        Copy copy = [](std::byte* to, const std::byte* from,
                       std::size_t bytes) { std::memcpy(to, from, bytes); })
        : job_{std::move(job)}, members_{std::move(members)}, ranks_(members_.size()), copy_{copy} {
        for (int to = 0; to < size(); ++to) {
            at(to).inbox = std::vector<Mail>(ranks_.size());
            for (int from = 0; from < size(); ++from) {
                mail(from, to).from = from;
                mail(from, to).to = to;
            }
        }
    }

    int size() const noexcept { return static_cast<int>(ranks_.size()); }
    const std::shared_ptr<ThreadJob>& job() const noexcept { return job_; }
    int number_in_job(int rank) const { return members_[static_cast<std::size_t>(rank)]; }
    std::atomic<std::uint64_t>& bytes_sent(int rank) { return at(rank).bytes_sent; }
    Mail& mail(int from, int to) { return at(to).inbox[static_cast<std::size_t>(from)]; }
    const Operation& operation(int rank, std::uint64_t sequence) const {
        return ranks_[static_cast<std::size_t>(rank)].operations[sequence % ring];
    }

    /// The number of this rank's next operation, once the one whose place it takes is done.
    std::uint64_t make_room(int rank) {
        const std::uint64_t sequence = at(rank).started + 1;
        if (sequence > ring) wait(rank, sequence - ring);
        return sequence;
    }
    /// Publishes this rank's part of its next operation; returns the operation's number, from 1.
    std::uint64_t start(const Operation& operation) {
        Rank& me = at(operation.rank);
        const std::uint64_t sequence = make_room(operation.rank);
        job_->before_operation(number_in_job(operation.rank), sequence);
        me.started = sequence;
        me.operations[sequence % ring] = operation;
        me.published.store(sequence);
        if (all(&Rank::published, sequence)) job_->wake();
        return sequence;
    }
    bool ready(int rank, std::uint64_t sequence) {
        progress(rank, sequence);
        return all(&Rank::executed, sequence);
    }
    /// Executes this rank's operations up to `sequence` in order, then waits for its peers' reads.
    void wait(int rank, std::uint64_t sequence) {
        job_->until([&] { return ready(rank, sequence); },
                    [&] {
                        for (int r = 0; r < size(); ++r)
                            require(!has_returned(r) || at(r).executed.load() >= sequence,
                                    Errc::communication, "ThreadComm: rank ", r,
                                    " has returned without its part of operation ", sequence, " (",
                                    name_of(operation(rank, sequence).verb),
                                    "), expected the same operations on every rank, waited for");
                    });
    }

    std::uint64_t post(Mail& mail, std::span<const std::byte> message) {
        const std::uint64_t number = mail.sent.load(std::memory_order_relaxed) + 1;
        if (number > Mail::ring) wait(mail.from, mail, number - Mail::ring);
        mail.messages[number % Mail::ring] = message;
        mail.sent.store(number, std::memory_order_release);
        job_->wake();
        return number;
    }
    std::uint64_t await(Mail& mail, std::span<std::byte> place) {
        const std::uint64_t number = mail.awaited + 1;
        if (number > Mail::ring) wait(mail.to, mail, number - Mail::ring);
        mail.places[number % Mail::ring] = place;
        mail.awaited = number;
        return number;
    }
    bool ready(int rank, const Mail& mail, std::uint64_t number) {
        progress(rank, at(rank).started);
        return mail.received.load(std::memory_order_acquire) >= number;
    }
    /// Until the receiver has message `number`; `rank` is either side.
    void wait(int rank, const Mail& mail, std::uint64_t number) {
        const int peer = rank == mail.from ? mail.to : mail.from;
        job_->until([&] { return ready(rank, mail, number); },
                    [&] {
                        const bool gone = has_returned(peer);
                        require(!gone || ready(rank, mail, number), Errc::communication,
                                "ThreadComm: rank ", peer,
                                " has returned without its part of message ", number, " from rank ",
                                mail.from, " to rank ", mail.to, ", expected as many recv as send");
                    });
    }

    /// A started operation will not be waited for. Where the world has failed or `failing`, its
    /// buffers may go when this returns: nobody reads them any more.
    void drop(bool failing) {
        if (failing && !job_->has_failed()) job_->fail_without_cause();
        if (!job_->has_failed()) return;
        for (const Rank& rank : ranks_)
            while (rank.reading.load()) std::this_thread::yield();
    }

private:
    struct alignas(128) Rank {
        std::atomic<std::uint64_t> published{0}, executed{0};
        std::atomic<bool> reading{false};  ///< its peers' buffers
        std::atomic<std::uint64_t> bytes_sent{0};
        std::uint64_t started = 0;  ///< this rank's own
        std::array<Operation, ring> operations;
        std::vector<Mail> inbox;
    };
    /// Set while a rank reads its peers' buffers: those of a failed world may be gone.
    class Reading {
    public:
        Reading(Rank& me, const ThreadJob& job) : me_{me} {
            me_.reading.store(true);
            if (!job.has_failed()) return;
            me_.reading.store(false);
            throw PeerFailed{};
        }
        ~Reading() { me_.reading.store(false); }
        Reading(const Reading&) = delete;
        Reading& operator=(const Reading&) = delete;

    private:
        Rank& me_;
    };

    Rank& at(int rank) { return ranks_[static_cast<std::size_t>(rank)]; }
    bool has_returned(int rank) const { return job_->has_returned(number_in_job(rank)); }
    bool all(std::atomic<std::uint64_t> Rank::*count, std::uint64_t sequence) const {
        return std::all_of(ranks_.begin(), ranks_.end(),
                           [&](const Rank& rank) { return (rank.*count).load() >= sequence; });
    }

    /// Executes what this rank has started and all have published, and takes in its messages: peers
    /// may be waiting for either.
    void progress(int rank, std::uint64_t last) {
        Rank& me = at(rank);
        for (Mail& mail : me.inbox) take_in(me, mail);
        std::uint64_t next = me.executed.load(std::memory_order_relaxed) + 1;
        for (; next <= last && all(&Rank::published, next); ++next) {
            const Operation& mine = me.operations[next % ring];
            {
                const Reading reading{me, *job_};
                check(next);
                if (mine.execute != nullptr) mine.execute(*this, mine, next);
            }
            me.executed.store(next);
            if (all(&Rank::executed, next)) job_->wake();
        }
    }
    void take_in(Rank& me, Mail& mail) {
        std::uint64_t number = mail.received.load(std::memory_order_relaxed) + 1;
        for (; number <= mail.awaited && number <= mail.sent.load(std::memory_order_acquire);
             ++number) {
            const std::span<const std::byte> message = mail.messages[number % Mail::ring];
            const std::span<std::byte> place = mail.places[number % Mail::ring];
            require(message.size() == place.size(), Errc::communication, "ThreadComm::recv: rank ",
                    mail.from, " sends ", message.size(), " bytes to rank ", mail.to, ", expected ",
                    place.size());
            if (!place.empty()) {
                const Reading reading{me, *job_};
                copy_(place.data(), message.data(), place.size());
            }
            mail.received.store(number, std::memory_order_release);
            job_->wake();
        }
    }
    void check(std::uint64_t sequence) const {
        const Operation& first = operation(0, sequence);
        for (int r = 1; r < size(); ++r) {
            const Operation& other = operation(r, sequence);
            require(other.verb == first.verb && other.in.size() == first.in.size() &&
                        other.root == first.root,
                    Errc::communication, "ThreadComm: operation ", sequence, " is ",
                    name_of(first.verb), " of ", first.in.size(), " bytes (root ", first.root,
                    ") on rank 0 and ", name_of(other.verb), " of ", other.in.size(),
                    " bytes (root ", other.root, ") on rank ", r,
                    ", expected the same on every rank");
        }
    }

    std::shared_ptr<ThreadJob> job_;
    std::vector<int> members_;
    std::vector<Rank> ranks_;
    Copy copy_;
};

}  // namespace zeropp::detail
