// SPDX-License-Identifier: Apache-2.0
/// \file What all threads of one `run_ranks` share: the first failure, who has returned, and the
/// pulse that waiting ranks look at.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include <zeropp/core/error.hpp>

namespace zeropp {

/// For tests: called on a rank before it starts its operation number `sequence` (the first is 1).
/// May sleep or throw.
using ThreadHook = std::function<void(int rank, std::uint64_t sequence)>;

namespace detail {

/// Thrown in ranks that wait for one that has failed; never reaches the caller of `run_ranks`.
class PeerFailed : public Error {
public:
    PeerFailed()
        : Error{Errc::communication,
                "ThreadComm: another rank has failed, expected all ranks to go on"} {}
};

class ThreadJob {
public:
    ThreadJob(int size, ThreadHook hook)
        : hook_{std::move(hook)}, returned_(static_cast<std::size_t>(size)) {}

    void before_operation(int rank, std::uint64_t sequence) const {
        if (hook_) hook_(rank, sequence);
    }

    bool has_failed() const noexcept { return failed_.load(); }
    /// The first cause is kept.
    void fail_with(std::exception_ptr cause) {
        {
            const std::lock_guard lock{mutex_};
            if (!cause_) cause_ = std::move(cause);
        }
        fail_without_cause();
    }
    /// Its cause is still on its way up through the failing rank.
    void fail_without_cause() {
        failed_.store(true);
        wake();
    }
    /// After all threads have ended.
    void rethrow() const {
        if (cause_) std::rethrow_exception(cause_);
        require(!has_failed(), Errc::communication,
                "run_ranks: a rank dropped a started operation while an exception passed, expected "
                "wait() on it");
    }

    bool has_returned(int rank) const noexcept {
        return returned_[static_cast<std::size_t>(rank)].load(std::memory_order_acquire);
    }
    void set_returned(int rank) {
        returned_[static_cast<std::size_t>(rank)].store(true, std::memory_order_release);
        wake();
    }

    /// Waits until `holds()`; throws PeerFailed when a rank has failed, and what `check_peers()`
    /// throws when it will never hold.
    template <class Holds, class CheckPeers>
    void until(Holds holds, CheckPeers check_peers) {
        for (int spins = 0;; ++spins) {
            const std::uint32_t seen = pulse_.load(std::memory_order_acquire);
            if (holds()) return;
            if (has_failed()) throw PeerFailed{};
            check_peers();
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

    const ThreadHook hook_;
    std::mutex mutex_;
    std::exception_ptr cause_;
    std::atomic<bool> failed_{false};
    std::vector<std::atomic<bool>> returned_;
    alignas(128) std::atomic<std::uint32_t> pulse_{0};
};

}  // namespace detail

}  // namespace zeropp
