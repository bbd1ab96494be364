// SPDX-License-Identifier: Apache-2.0
/// \file `MpiComm`. Link `zeropp::mpi`; including this header is what opts in.
#pragma once

#include <exception>
#include <memory>
#include <string>
#include <utility>

#include <zeropp/comm/concepts.hpp>
#include <zeropp/comm/mpi_job.hpp>
#include <zeropp/comm/mpi_state.hpp>
#include <zeropp/comm/reduce.hpp>
#include <zeropp/core/error.hpp>

namespace zeropp {

/// Ranks are processes. Reductions exchange wire slices (MPI_Ialltoall) and sum them here in rank
/// order, so that they leave the same bits as on every other communicator: library reductions round
/// at every hop in an order of their own.
class MpiComm {
public:
    class Pending {
    public:
        Pending() = default;
        bool ready() {
            if (state_ != nullptr && state_->ready(*slot_, sequence_)) state_ = nullptr;
            return state_ == nullptr;
        }
        void wait() {
            if (state_ != nullptr) state_->wait(*slot_, sequence_);
            state_ = nullptr;
        }
        template <Device D>
        void wait_on(const D&) {
            wait();
        }

    private:
        friend class MpiComm;
        Pending(detail::MpiState& state, detail::MpiState::Slot& slot)
            : state_{&state}, slot_{&slot}, sequence_{slot.sequence} {}

        detail::MpiState* state_ = nullptr;  ///< null: done
        detail::MpiState::Slot* slot_ = nullptr;
        std::uint64_t sequence_ = 0;
    };

    /// Collective. All processes; initialises MPI if nobody did, and then finalises it with the
    /// last copy.
    MpiComm() : MpiComm{detail::MpiRuntime::get(), MPI_COMM_WORLD} {}
    /// Collective. A duplicate of the caller's communicator.
    explicit MpiComm(MPI_Comm comm) : MpiComm{detail::MpiRuntime::get(), comm} {}

    int rank() const noexcept { return state_->rank; }
    int size() const noexcept { return state_->size; }
    std::string_view name() const noexcept { return "mpi"; }
    std::uint64_t bytes_sent() const noexcept { return state_->bytes_sent; }
    static std::size_t workspace_bytes(std::size_t wire_bytes) noexcept { return wire_bytes; }
    void use_workspace(std::span<std::byte> workspace) { state_->lend(workspace); }
    void return_workspace(std::span<std::byte> workspace) { state_->take_back(workspace); }

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
        detail::MpiState::Slot& slot = state_->take();
        const auto [count, type] = state_->count_of(slot, slice);
        std::byte* const received = state_->receive_into(
            slot, in.size_bytes(), slice, std::as_writable_bytes(out),
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
                                        &slot.request),
                          "MPI_Ialltoall");
        return {*state_, slot};
    }
    /// Collective. Sends (W-1) times `in`.
    Pending all_gather(std::span<const std::byte> in, std::span<std::byte> out) {
        require(out.size() == in.size() * ranks(), Errc::shape, "MpiComm::all_gather: out has ",
                out.size(), " bytes, expected size() * in = ", ranks() * in.size());
        detail::MpiState::Slot& slot = state_->take();
        const auto [count, type] = state_->count_of(slot, in.size());
        const bool in_place =
            in.data() == out.data() + in.size() * static_cast<std::size_t>(rank());
        sent(in.size() * (ranks() - 1));
        detail::check_mpi(MPI_Iallgather(in_place ? MPI_IN_PLACE : in.data(), count, type,
                                         out.data(), count, type, state_->comm, &slot.request),
                          "MPI_Iallgather");
        return {*state_, slot};
    }
    /// Collective. The root sends (W-1) times `inout`.
    Pending broadcast(std::span<std::byte> inout, int root) {
        require(0 <= root && root < size(), Errc::config, "MpiComm::broadcast: root is ", root,
                ", expected 0 to ", size() - 1);
        detail::MpiState::Slot& slot = state_->take();
        const auto [count, type] = state_->count_of(slot, inout.size());
        if (root == rank()) sent(inout.size() * (ranks() - 1));
        detail::check_mpi(MPI_Ibcast(inout.data(), count, type, root, state_->comm, &slot.request),
                          "MPI_Ibcast");
        return {*state_, slot};
    }
    /// Collective. Slice r of `in` goes to rank r: sends (W-1)/W of `in`.
    Pending all_to_all(std::span<const std::byte> in, std::span<std::byte> out) {
        require(in.size() == out.size() && in.size() % ranks() == 0, Errc::shape,
                "MpiComm::all_to_all: in has ", in.size(), " bytes and out ", out.size(),
                ", expected the same multiple of ", ranks());
        detail::MpiState::Slot& slot = state_->take();
        const auto [count, type] = state_->count_of(slot, in.size() / ranks());
        sent(in.size() / ranks() * (ranks() - 1));
        detail::check_mpi(MPI_Ialltoall(in.data(), count, type, out.data(), count, type,
                                        state_->comm, &slot.request),
                          "MPI_Ialltoall");
        return {*state_, slot};
    }
    /// Sends `message` once; done when it may be overwritten.
    Pending send(std::span<const std::byte> message, int peer) {
        check_peer("send", peer);
        detail::MpiState::Slot& slot = state_->take();
        const auto [count, type] = state_->count_of(slot, message.size());
        sent(message.size());
        detail::check_mpi(
            MPI_Isend(message.data(), count, type, peer, 0, state_->comm, &slot.request),
            "MPI_Isend");
        return {*state_, slot};
    }
    Pending recv(std::span<std::byte> message, int peer) {
        check_peer("recv", peer);
        detail::MpiState::Slot& slot = state_->take();
        const auto [count, type] = state_->count_of(slot, message.size());
        detail::check_mpi(
            MPI_Irecv(message.data(), count, type, peer, 0, state_->comm, &slot.request),
            "MPI_Irecv");
        return {*state_, slot};
    }
    /// Collective.
    void barrier() { detail::check_mpi(MPI_Barrier(state_->comm), "MPI_Barrier"); }
    /// Collective. Ranks of one color form a world, ordered by key, then by rank.
    MpiComm split(int color, int key) {
        MPI_Comm part = MPI_COMM_NULL;
        detail::check_mpi(MPI_Comm_split(state_->comm, color, key, &part), "MPI_Comm_split");
        MpiComm result{state_->runtime(), part};
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
        : state_{std::make_shared<detail::MpiState>(std::move(runtime), comm)} {}

    std::size_t ranks() const noexcept { return static_cast<std::size_t>(size()); }
    void sent(std::size_t bytes) { state_->bytes_sent += bytes; }
    void check_peer(const char* verb, int peer) const {
        require(0 <= peer && peer < size() && peer != rank(), Errc::config, "MpiComm::", verb,
                ": peer is ", peer, ", expected another rank of 0 to ", size() - 1);
    }

    std::shared_ptr<detail::MpiState> state_;
};
static_assert(Communicator<MpiComm>);

/// Runs `body(MpiComm)` in this process, one rank of an mpirun. A rank that fails prints its error
/// to stderr and ends all of them with exit code 1. Where all fail alike, one of each host speaks,
/// and the lowest rank at that.
template <class Body>
void run_mpi_ranks(Body body) {
    MpiComm comm;
    detail::MpiJob job;
    try {
        body(comm);
    } catch (const std::exception& error) {
        job.fail_with(error.what(), comm.rank());
    } catch (...) {
        const std::string rank = std::to_string(comm.rank());
        job.fail_with(("zeropp: run_mpi_ranks: rank " + rank +
                       " threw an exception that is no std::exception, expected one")
                          .c_str(),
                      comm.rank());
    }
}

}  // namespace zeropp
