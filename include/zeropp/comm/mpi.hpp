// SPDX-License-Identifier: Apache-2.0
/// \file `MpiComm`. Link `zeropp::mpi`; including this header is what opts in.
#pragma once

#if !__has_include(<mpi.h>)
#error \
    "zeropp: <mpi.h> not found; use find_package(zeropp COMPONENTS mpi) and link zeropp::mpi (Debian: libopenmpi-dev)"
#endif
#include <algorithm>
#include <array>
#include <chrono>
#include <climits>
#include <cstdio>
#include <cstring>
#include <exception>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <mpi.h>

#include <zeropp/comm/concepts.hpp>
#include <zeropp/comm/reduce.hpp>
#include <zeropp/core/error.hpp>

namespace zeropp {

namespace detail {

inline void check_mpi(int status, const char* call) {
    if (status == MPI_SUCCESS) return;
    char text[MPI_MAX_ERROR_STRING];
    int length = 0;
    MPI_Error_string(status, text, &length);
    fail(Errc::communication, call, ": is ", std::string(text, static_cast<std::size_t>(length)),
         ", expected MPI_SUCCESS");
}

/// Initialises MPI if nobody did, and then finalises it.
class MpiRuntime {
public:
    MpiRuntime() {
        int already = 0;
        check_mpi(MPI_Initialized(&already), "MPI_Initialized");
        if (already != 0) return;
        int provided = 0;
        check_mpi(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &provided),
                  "MPI_Init_thread");
        owns_ = true;
    }
    ~MpiRuntime() {
        int finalized = 0;
        if (owns_ && MPI_Finalized(&finalized) == MPI_SUCCESS && finalized == 0) MPI_Finalize();
    }
    MpiRuntime(const MpiRuntime&) = delete;
    MpiRuntime& operator=(const MpiRuntime&) = delete;

private:
    bool owns_ = false;
};

/// One rank's communicator and its operations in flight.
class MpiState {
public:
    static constexpr std::size_t ring = 64;
    static constexpr int block = 256;  ///< bytes of the datatype for more than INT_MAX of them

    using Finish = void (*)(const std::byte* received, std::size_t slice, int ranks,
                            std::span<std::byte> out);

    explicit MpiState(MPI_Comm given) {
        check_mpi(MPI_Comm_dup(given, &comm), "MPI_Comm_dup");
        check_mpi(MPI_Comm_set_errhandler(comm, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
        check_mpi(MPI_Comm_rank(comm, &rank), "MPI_Comm_rank");
        check_mpi(MPI_Comm_size(comm, &size), "MPI_Comm_size");
        check_mpi(MPI_Type_contiguous(block, MPI_BYTE, &block_type), "MPI_Type_contiguous");
        check_mpi(MPI_Type_commit(&block_type), "MPI_Type_commit");
    }
    ~MpiState() {
        int finalized = 0;
        if (MPI_Finalized(&finalized) != MPI_SUCCESS || finalized != 0) return;
        MPI_Type_free(&block_type);
        MPI_Comm_free(&comm);
    }
    MpiState(const MpiState&) = delete;
    MpiState& operator=(const MpiState&) = delete;

    /// How MPI is told of so many bytes: counts are int.
    std::pair<int, MPI_Datatype> count_of(std::size_t bytes) const {
        if (bytes <= static_cast<std::size_t>(INT_MAX)) return {static_cast<int>(bytes), MPI_BYTE};
        require(bytes % block == 0 && bytes / block <= static_cast<std::size_t>(INT_MAX),
                Errc::communication, "MpiComm: a part has ", bytes,
                " bytes, expected a multiple of ", block, " above 2 GiB");
        return {static_cast<int>(bytes / block), block_type};
    }

    /// A slot for a new operation; start the request in it.
    std::uint64_t take() {
        const std::uint64_t sequence = ++started_;
        Slot& slot = slots_[sequence % ring];
        if (!slot.done) complete(slot);
        slot = {.sequence = sequence};
        slot.done = false;
        return sequence;
    }
    MPI_Request* request(std::uint64_t sequence) { return &slots_[sequence % ring].request; }

    /// `bytes` of workspace for the operation; older reductions are completed if it is short.
    std::byte* receive_into(std::uint64_t sequence, std::size_t bytes, std::size_t slice,
                            std::span<std::byte> out, Finish then) {
        Slot& slot = slots_[sequence % ring];
        slot.slice = slice;
        slot.out = out;
        slot.finish = then;
        if (bytes > workspace_.size()) {
            slot.own.resize(bytes);
            slot.received = slot.own.data();
            return slot.received;
        }
        if (next_ + bytes > workspace_.size()) next_ = 0;
        const std::size_t first = next_, last = next_ + bytes;
        for (std::uint64_t older = sequence > ring ? sequence - ring + 1 : 1; older < sequence;
             ++older) {
            Slot& other = slots_[older % ring];
            if (!other.done && other.finish != nullptr && other.own.empty() && other.first < last &&
                first < other.last)
                complete(other);
        }
        slot.first = first;
        slot.last = next_ = last;
        slot.received = workspace_.data() + first;
        return slot.received;
    }
    void lend(std::span<std::byte> workspace) {
        workspace_ = workspace;
        next_ = 0;
    }

    bool ready(std::uint64_t sequence) {
        Slot& slot = slots_[sequence % ring];
        if (slot.sequence != sequence || slot.done) return true;
        int flag = 0;
        check_mpi(MPI_Test(&slot.request, &flag, MPI_STATUS_IGNORE), "MPI_Test");
        if (flag != 0) finish(slot);
        return flag != 0;
    }
    void wait(std::uint64_t sequence) {
        Slot& slot = slots_[sequence % ring];
        if (slot.sequence == sequence && !slot.done) complete(slot);
    }

    MPI_Comm comm = MPI_COMM_NULL;
    int rank = 0, size = 1;
    std::uint64_t bytes_sent = 0;

private:
    struct Slot {
        std::uint64_t sequence = 0;
        MPI_Request request = MPI_REQUEST_NULL;
        bool done = true;
        Finish finish = nullptr;
        std::byte* received = nullptr;
        std::size_t first = 0, last = 0, slice = 0;
        std::span<std::byte> out{};
        std::vector<std::byte> own{};
    };

    void complete(Slot& slot) {
        check_mpi(MPI_Wait(&slot.request, MPI_STATUS_IGNORE), "MPI_Wait");
        finish(slot);
    }
    void finish(Slot& slot) {
        if (slot.finish != nullptr) slot.finish(slot.received, slot.slice, size, slot.out);
        slot.done = true;
    }

    MPI_Datatype block_type = MPI_DATATYPE_NULL;
    std::array<Slot, ring> slots_{};
    std::span<std::byte> workspace_;
    std::size_t next_ = 0;
    std::uint64_t started_ = 0;
};

}  // namespace detail

/// Ranks are processes. Reductions exchange wire slices (MPI_Ialltoall) and sum them here in rank
/// order, so that they leave the same bits as on every other communicator: library reductions round
/// at every hop in an order of their own.
class MpiComm {
public:
    class Pending {
    public:
        Pending() = default;
        bool ready() {
            if (state_ != nullptr && state_->ready(sequence_)) state_ = nullptr;
            return state_ == nullptr;
        }
        void wait() {
            if (state_ != nullptr) state_->wait(sequence_);
            state_ = nullptr;
        }
        template <Device D>
        void wait_on(const D&) {
            wait();
        }

    private:
        friend class MpiComm;
        Pending(detail::MpiState* state, std::uint64_t sequence)
            : state_{state}, sequence_{sequence} {}

        detail::MpiState* state_ = nullptr;  ///< null: done
        std::uint64_t sequence_ = 0;
    };

    /// Collective. All processes; initialises MPI if nobody did, and then finalises it with the
    /// last copy.
    MpiComm() : MpiComm{std::make_shared<detail::MpiRuntime>(), MPI_COMM_WORLD} {}
    /// Collective. A duplicate of the caller's communicator.
    explicit MpiComm(MPI_Comm comm) : MpiComm{std::make_shared<detail::MpiRuntime>(), comm} {}

    int rank() const noexcept { return state_->rank; }
    int size() const noexcept { return state_->size; }
    std::string_view name() const noexcept { return "mpi"; }
    std::uint64_t bytes_sent() const noexcept { return state_->bytes_sent; }
    std::size_t workspace_bytes(std::size_t wire_bytes) const noexcept { return wire_bytes; }
    void use_workspace(std::span<std::byte> workspace) { state_->lend(workspace); }

    template <Element E, Element G>
    Pending reduce_scatter(std::span<E> in, std::span<G> out) {
        return reduce_scatter(std::span<const E>{in}, out);
    }
    /// Collective. Sends (W-1)/W of `in`.
    template <Element E, Element G>
    Pending reduce_scatter(std::span<const E> in, std::span<G> out) {
        require(in.size() == out.size() * ranks(), Errc::shape, "MpiComm::reduce_scatter: in has ",
                in.size(), " elements, expected size() * out = ", ranks() * out.size());
        const std::size_t slice = out.size() * sizeof(E);
        const auto [count, type] = state_->count_of(slice);
        const std::uint64_t sequence = state_->take();
        std::byte* const received = state_->receive_into(
            sequence, in.size_bytes(), slice, std::as_writable_bytes(out),
            [](const std::byte* from, std::size_t bytes, int size, std::span<std::byte> to) {
                reduce_in_rank_order<E, G>(
                    size,
                    [&](int r) {
                        return reinterpret_cast<const E*>(from +
                                                          bytes * static_cast<std::size_t>(r));
                    },
                    std::span<G>{reinterpret_cast<G*>(to.data()), to.size() / sizeof(G)});
            });
        sent(slice * (ranks() - 1));
        detail::check_mpi(MPI_Ialltoall(in.data(), count, type, received, count, type, state_->comm,
                                        state_->request(sequence)),
                          "MPI_Ialltoall");
        return {state_.get(), sequence};
    }
    /// Collective. Sends (W-1) times `in`.
    Pending all_gather(std::span<const std::byte> in, std::span<std::byte> out) {
        require(out.size() == in.size() * ranks(), Errc::shape, "MpiComm::all_gather: out has ",
                out.size(), " bytes, expected size() * in = ", ranks() * in.size());
        const auto [count, type] = state_->count_of(in.size());
        const std::uint64_t sequence = state_->take();
        const bool in_place =
            in.data() == out.data() + in.size() * static_cast<std::size_t>(rank());
        sent(in.size() * (ranks() - 1));
        detail::check_mpi(
            MPI_Iallgather(in_place ? MPI_IN_PLACE : in.data(), count, type, out.data(), count,
                           type, state_->comm, state_->request(sequence)),
            "MPI_Iallgather");
        return {state_.get(), sequence};
    }
    /// Collective. The root sends (W-1) times `inout`.
    Pending broadcast(std::span<std::byte> inout, int root) {
        require(0 <= root && root < size(), Errc::config, "MpiComm::broadcast: root is ", root,
                ", expected 0 to ", size() - 1);
        const auto [count, type] = state_->count_of(inout.size());
        const std::uint64_t sequence = state_->take();
        if (root == rank()) sent(inout.size() * (ranks() - 1));
        detail::check_mpi(
            MPI_Ibcast(inout.data(), count, type, root, state_->comm, state_->request(sequence)),
            "MPI_Ibcast");
        return {state_.get(), sequence};
    }
    /// Collective. Slice r of `in` goes to rank r: sends (W-1)/W of `in`.
    Pending all_to_all(std::span<const std::byte> in, std::span<std::byte> out) {
        require(in.size() == out.size() && in.size() % ranks() == 0, Errc::shape,
                "MpiComm::all_to_all: in has ", in.size(), " bytes and out ", out.size(),
                ", expected the same multiple of ", ranks());
        const auto [count, type] = state_->count_of(in.size() / ranks());
        const std::uint64_t sequence = state_->take();
        sent(in.size() / ranks() * (ranks() - 1));
        detail::check_mpi(MPI_Ialltoall(in.data(), count, type, out.data(), count, type,
                                        state_->comm, state_->request(sequence)),
                          "MPI_Ialltoall");
        return {state_.get(), sequence};
    }
    /// Sends `message` once; done when it may be overwritten.
    Pending send(std::span<const std::byte> message, int peer) {
        check_peer("send", peer);
        const auto [count, type] = state_->count_of(message.size());
        const std::uint64_t sequence = state_->take();
        sent(message.size());
        detail::check_mpi(MPI_Isend(message.data(), count, type, peer, 0, state_->comm,
                                    state_->request(sequence)),
                          "MPI_Isend");
        return {state_.get(), sequence};
    }
    Pending recv(std::span<std::byte> message, int peer) {
        check_peer("recv", peer);
        const auto [count, type] = state_->count_of(message.size());
        const std::uint64_t sequence = state_->take();
        detail::check_mpi(MPI_Irecv(message.data(), count, type, peer, 0, state_->comm,
                                    state_->request(sequence)),
                          "MPI_Irecv");
        return {state_.get(), sequence};
    }
    /// Collective.
    void barrier() { detail::check_mpi(MPI_Barrier(state_->comm), "MPI_Barrier"); }
    /// Collective. Ranks of one color form a world, ordered by key, then by rank.
    MpiComm split(int color, int key) {
        MPI_Comm part = MPI_COMM_NULL;
        detail::check_mpi(MPI_Comm_split(state_->comm, color, key, &part), "MPI_Comm_split");
        MpiComm result{runtime_, part};
        detail::check_mpi(MPI_Comm_free(&part), "MPI_Comm_free");
        return result;
    }
    /// Collective. This rank's number among those of its host.
    int local_rank() {
        MPI_Comm host = MPI_COMM_NULL;
        detail::check_mpi(
            MPI_Comm_split_type(state_->comm, MPI_COMM_TYPE_SHARED, rank(), MPI_INFO_NULL, &host),
            "MPI_Comm_split_type");
        int local = 0;
        detail::check_mpi(MPI_Comm_rank(host, &local), "MPI_Comm_rank");
        detail::check_mpi(MPI_Comm_free(&host), "MPI_Comm_free");
        return local;
    }
    /// Ends every rank of the job with `exit_code`. Does not return.
    [[noreturn]] void abort(int exit_code) {
        MPI_Abort(MPI_COMM_WORLD, exit_code);
        std::terminate();
    }

private:
    MpiComm(std::shared_ptr<detail::MpiRuntime> runtime, MPI_Comm comm)
        : runtime_{std::move(runtime)}, state_{std::make_shared<detail::MpiState>(comm)} {}

    std::size_t ranks() const noexcept { return static_cast<std::size_t>(size()); }
    void sent(std::size_t bytes) { state_->bytes_sent += bytes; }
    void check_peer(const char* verb, int peer) const {
        require(0 <= peer && peer < size() && peer != rank(), Errc::config, "MpiComm::", verb,
                ": peer is ", peer, ", expected another rank of 0 to ", size() - 1);
    }

    std::shared_ptr<detail::MpiRuntime> runtime_;
    std::shared_ptr<detail::MpiState> state_;
};
static_assert(Communicator<MpiComm>);

/// Runs `body(MpiComm)` in this process, one rank of an mpirun. A rank that fails prints its error
/// to stderr and ends all of them with exit code 1. Where all fail alike, the lowest rank speaks:
/// each waits for those below it before it does.
template <class Body>
void run_mpi_ranks(Body body) {
    MpiComm comm;
    try {
        body(comm);
    } catch (const std::exception& error) {
        std::this_thread::sleep_for(std::chrono::milliseconds{100} * std::min(comm.rank(), 20));
        std::fprintf(stderr, "%s\n", error.what());
        std::fflush(nullptr);
        comm.abort(1);
    }
}

}  // namespace zeropp
