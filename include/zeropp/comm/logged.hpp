// SPDX-License-Identifier: Apache-2.0
/// \file `LoggedComm`: any communicator, with a log of its operations.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <utility>

#include <zeropp/comm/concepts.hpp>
#include <zeropp/comm/log.hpp>

namespace zeropp {

/// Copies are the same rank and share the log, as do the parts of a split. Without a log it reads
/// no clock and adds one comparison to an operation. The bits are those of `C`.
template <Communicator C>
class LoggedComm {
    using Clock = std::chrono::steady_clock;

public:
    template <PendingOperation P>
    class Pending {
    public:
        Pending() = default;
        explicit Pending(P pending, CommLog* log = nullptr, CommLog::Place place = {},
                         Clock::time_point begin = {})
            : pending_{std::move(pending)}, log_{log}, place_{place}, begin_{begin} {}

        bool ready() {
            const bool done = pending_.ready();
            if (done) finish();
            return done;
        }
        void wait() {
            pending_.wait();
            finish();
        }
        template <Device D>
        void wait_on(const D& device) {
            pending_.wait_on(device);
            finish();
        }

    private:
        void finish() {
            if (CommLog* const log = std::exchange(log_, nullptr))
                log->done(place_, seconds_since(begin_));
        }

        P pending_{};
        CommLog* log_ = nullptr;  ///< null: nothing is logged, or no more
        CommLog::Place place_;
        Clock::time_point begin_{};
    };

    explicit LoggedComm(C comm, std::shared_ptr<CommLog> log = nullptr)
        : comm_{std::move(comm)}, log_{std::move(log)} {}

    /// The communicator itself, whose operations are not logged.
    C& unlogged() noexcept { return comm_; }
    /// What is started from now on is logged there; null: nowhere. Parts of earlier splits, and
    /// copies, stay as they are. The log outlives the operations that are started.
    void log_to(std::shared_ptr<CommLog> log) noexcept { log_ = std::move(log); }
    const std::shared_ptr<CommLog>& log() const noexcept { return log_; }

    int rank() const noexcept { return comm_.rank(); }
    int size() const noexcept { return comm_.size(); }
    std::string_view name() const noexcept { return comm_.name(); }
    std::uint64_t bytes_sent() const { return comm_.bytes_sent(); }
    std::size_t workspace_bytes(std::size_t wire_bytes) const {
        return comm_.workspace_bytes(wire_bytes);
    }
    void use_workspace(std::span<std::byte> workspace) { comm_.use_workspace(workspace); }
    void return_workspace(std::span<std::byte> workspace) { comm_.return_workspace(workspace); }

    template <Element E, Element G>
    auto reduce_scatter(std::span<E> in, std::span<G> out) {
        return reduce_scatter(std::span<const E>{in}, out);
    }
    /// Collective.
    template <Element E, Element G>
    auto reduce_scatter(std::span<const E> in, std::span<G> out) {
        return logged(CommVerb::reduce_scatter, in.size_bytes(),
                      [&] { return comm_.reduce_scatter(in, out); });
    }
    /// Collective.
    auto all_gather(std::span<const std::byte> in, std::span<std::byte> out) {
        return logged(CommVerb::all_gather, out.size(), [&] { return comm_.all_gather(in, out); });
    }
    /// Collective.
    auto broadcast(std::span<std::byte> inout, int root) {
        return logged(CommVerb::broadcast, inout.size(),
                      [&] { return comm_.broadcast(inout, root); });
    }
    /// Collective.
    auto all_to_all(std::span<const std::byte> in, std::span<std::byte> out) {
        return logged(CommVerb::all_to_all, in.size(), [&] { return comm_.all_to_all(in, out); });
    }
    auto send(std::span<const std::byte> message, int peer) {
        return logged(CommVerb::send, message.size(), [&] { return comm_.send(message, peer); });
    }
    auto recv(std::span<std::byte> message, int peer) {
        return logged(CommVerb::recv, message.size(), [&] { return comm_.recv(message, peer); });
    }
    /// Collective.
    void barrier() {
        if (log_ == nullptr || !log_->logs(CommVerb::barrier)) return comm_.barrier();
        const std::uint64_t sent_before = comm_.bytes_sent();
        const auto begin = Clock::now();
        comm_.barrier();
        const double seconds = seconds_since(begin);
        log_->done(log_->started(CommVerb::barrier, 0, size(), comm_.bytes_sent() - sent_before),
                   seconds);
    }
    /// Collective.
    LoggedComm split(int color, int key) { return LoggedComm{comm_.split(color, key), log_}; }

private:
    static double seconds_since(Clock::time_point begin) {
        return std::chrono::duration<double>(Clock::now() - begin).count();
    }
    template <class Start>
    auto logged(CommVerb verb, std::size_t message_bytes, Start start) {
        using Result = Pending<decltype(start())>;
        if (log_ == nullptr || !log_->logs(verb)) return Result{start()};
        const std::uint64_t sent_before = comm_.bytes_sent();
        const auto begin = Clock::now();
        auto pending = start();
        const auto place =
            log_->started(verb, message_bytes, size(), comm_.bytes_sent() - sent_before);
        return Result{std::move(pending), log_.get(), place, begin};
    }

    C comm_;
    std::shared_ptr<CommLog> log_;
};
template <class C>
LoggedComm(C) -> LoggedComm<C>;
template <class C>
LoggedComm(C, std::shared_ptr<CommLog>) -> LoggedComm<C>;

}  // namespace zeropp
