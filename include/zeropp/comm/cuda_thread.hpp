// SPDX-License-Identifier: Apache-2.0
/// \file `CudaThreadComm`: logical ranks that share one GPU, a thread and a stream each. Component
/// `cuda`; for .cu files.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include <zeropp/comm/concepts.hpp>
#include <zeropp/comm/reduce.hpp>
#include <zeropp/comm/thread.hpp>
#include <zeropp/device/cuda.hpp>
#include <zeropp/device/cuda/for_each.hpp>

namespace zeropp {

namespace detail {

/// Events that order the streams of all ranks: of each of the last operations, that a rank's
/// buffers are ready, and that it has read its peers'.
class CudaWorld {
public:
    static constexpr std::size_t ring = ThreadWorld::ring;

    struct Rank {
        Cuda device;
        std::array<cudaEvent_t, ring> ready{}, read{};
    };

    explicit CudaWorld(std::size_t size) : ranks(size) {}
    CudaWorld(const CudaWorld&) = delete;
    CudaWorld& operator=(const CudaWorld&) = delete;
    ~CudaWorld() {
        for (const auto& rank : ranks)
            if (rank != nullptr)
                for (std::size_t i = 0; i < ring; ++i) {
                    cudaEventDestroy(rank->ready[i]);
                    cudaEventDestroy(rank->read[i]);
                }
    }
    /// Each rank on its own thread.
    void join(int rank) {
        auto mine = std::make_unique<Rank>();
        for (std::size_t i = 0; i < ring; ++i)
            for (auto* event : {&mine->ready[i], &mine->read[i]})
                check_cuda(cudaEventCreateWithFlags(event, cudaEventDisableTiming),
                           "cudaEventCreateWithFlags");
        ranks[static_cast<std::size_t>(rank)] = std::move(mine);
    }
    Rank& at(int rank) { return *ranks[static_cast<std::size_t>(rank)]; }

    std::vector<std::unique_ptr<Rank>> ranks;
};

}  // namespace detail

/// Made by `run_cuda_ranks`, at most 8. What the ranks exchange lies in the GPU's memory, or both
/// sides of it in the host's. Operations on the GPU's memory are ordered by the streams: after
/// `wait()` later work of this rank's stream sees the result, and the host may not have waited.
class CudaThreadComm {
public:
    class Pending {
    public:
        Pending() = default;
        bool ready() {
            if (!on_host_.ready()) return false;
            if (world_ != nullptr)
                for (const auto& rank : world_->ranks)
                    if (cudaEventQuery(rank->read[sequence_ % ring]) != cudaSuccess) return false;
            return true;
        }
        /// The host waits until every rank has started; this rank's stream until all have read.
        void wait() {
            on_host_.wait();
            if (world_ == nullptr) return;
            wait_on(world_->at(rank_).device);
        }
        template <Device D>
        void wait_on(const D& device) {
            on_host_.wait();
            if (world_ == nullptr) return;
            if constexpr (requires { device.stream(); }) {
                for (const auto& rank : world_->ranks)
                    detail::check_cuda(
                        cudaStreamWaitEvent(device.stream(), rank->read[sequence_ % ring]),
                        "cudaStreamWaitEvent");
            } else {
                for (const auto& rank : world_->ranks)
                    detail::check_cuda(cudaEventSynchronize(rank->read[sequence_ % ring]),
                                       "cudaEventSynchronize");
            }
            world_ = nullptr;
        }

    private:
        friend class CudaThreadComm;
        static constexpr std::size_t ring = detail::CudaWorld::ring;
        Pending(ThreadComm::Pending on_host, detail::CudaWorld* world, int rank,
                std::uint64_t sequence)
            : on_host_{std::move(on_host)}, world_{world}, rank_{rank}, sequence_{sequence} {}

        ThreadComm::Pending on_host_{};
        detail::CudaWorld* world_ = nullptr;  ///< null: nothing on the GPU is waited for
        int rank_ = 0;
        std::uint64_t sequence_ = 0;
    };

    /// Collective. Each rank on its thread, on GPU 0 and the thread's own stream.
    explicit CudaThreadComm(const ThreadComm& comm) : host_{of_any_memory(comm)} {
        require(size() <= most, Errc::config, "CudaThreadComm: ", size(),
                " ranks, expected at most ", most);
        world_ = host_.share<detail::CudaWorld>(
            0, [&] { return std::make_shared<detail::CudaWorld>(host_.ranks()); });
        world_->join(rank());
        host_.barrier();
    }

    int rank() const noexcept { return host_.rank(); }
    int size() const noexcept { return host_.size(); }
    std::string_view name() const noexcept { return "cuda_thread"; }
    std::uint64_t bytes_sent() const noexcept { return host_.bytes_sent(); }
    std::size_t workspace_bytes(std::size_t) const noexcept { return 0; }
    void use_workspace(std::span<std::byte>) noexcept {}
    void return_workspace(std::span<std::byte>) noexcept {}
    const Cuda& device() const { return world_->at(rank()).device; }

    template <Element E, Element G>
    Pending reduce_scatter(std::span<E> in, std::span<G> out) {
        return reduce_scatter(std::span<const E>{in}, out);
    }
    /// Collective. Sends (W-1)/W of `in`.
    template <Element E, Element G>
    Pending reduce_scatter(std::span<const E> in, std::span<G> out) {
        if (!is_on_gpu(in.data())) return {host_.reduce_scatter(in, out), nullptr, 0, 0};
        require(in.size() == out.size() * host_.ranks(), Errc::shape,
                "CudaThreadComm::reduce_scatter: in has ", in.size(),
                " elements, expected size() * out = ", host_.ranks() * out.size());
        host_.count(out.size() * sizeof(E) * (host_.ranks() - 1));
        return start(
            detail::Verb::reduce_scatter, std::as_bytes(in), std::as_writable_bytes(out), 0,
            [](detail::ThreadWorld& host, const detail::Operation& mine, std::uint64_t sequence) {
                const Reading reading{host, mine, sequence};
                const std::size_t shard = mine.out.size() / sizeof(G);
                ReduceElement<E, G> body{};
                body.ranks = host.size();
                body.share = 1.0f / static_cast<float>(host.size());
                body.out = reinterpret_cast<G*>(mine.out.data());
                for (int r = 0; r < host.size(); ++r)
                    body.from[r] =
                        reinterpret_cast<const E*>(host.operation(r, sequence).in.data()) +
                        shard * static_cast<std::size_t>(mine.rank);
                for_each_element(reading.device(), shard, body);
            });
    }
    /// Collective. Sends (W-1) times `in`.
    Pending all_gather(std::span<const std::byte> in, std::span<std::byte> out) {
        if (!is_on_gpu(out.data())) return {host_.all_gather(in, out), nullptr, 0, 0};
        require(out.size() == in.size() * host_.ranks(), Errc::shape,
                "CudaThreadComm::all_gather: out has ", out.size(),
                " bytes, expected size() * in = ", host_.ranks() * in.size());
        host_.count(in.size() * (host_.ranks() - 1));
        return start(
            detail::Verb::all_gather, in, out, 0,
            [](detail::ThreadWorld& host, const detail::Operation& mine, std::uint64_t sequence) {
                const Reading reading{host, mine, sequence};
                for (int r = 0; r < host.size(); ++r)
                    reading.copy(host.operation(r, sequence).in,
                                 mine.out.data() + mine.in.size() * static_cast<std::size_t>(r));
            });
    }
    /// Collective. The root sends (W-1) times `inout`.
    Pending broadcast(std::span<std::byte> inout, int root) {
        if (!is_on_gpu(inout.data())) return {host_.broadcast(inout, root), nullptr, 0, 0};
        require(0 <= root && root < size(), Errc::config, "CudaThreadComm::broadcast: root is ",
                root, ", expected 0 to ", size() - 1);
        if (root == rank()) host_.count(inout.size() * (host_.ranks() - 1));
        return start(
            detail::Verb::broadcast, inout, inout, root,
            [](detail::ThreadWorld& host, const detail::Operation& mine, std::uint64_t sequence) {
                const Reading reading{host, mine, sequence};
                reading.copy(host.operation(mine.root, sequence).in, mine.out.data());
            });
    }
    /// Collective. Slice r of `in` goes to rank r: sends (W-1)/W of `in`.
    Pending all_to_all(std::span<const std::byte> in, std::span<std::byte> out) {
        if (!is_on_gpu(out.data())) return {host_.all_to_all(in, out), nullptr, 0, 0};
        require(in.size() == out.size() && in.size() % host_.ranks() == 0, Errc::shape,
                "CudaThreadComm::all_to_all: in has ", in.size(), " bytes and out ", out.size(),
                ", expected the same multiple of ", host_.ranks());
        host_.count(in.size() / host_.ranks() * (host_.ranks() - 1));
        return start(
            detail::Verb::all_to_all, in, out, 0,
            [](detail::ThreadWorld& host, const detail::Operation& mine, std::uint64_t sequence) {
                const Reading reading{host, mine, sequence};
                const std::size_t slice = mine.in.size() / static_cast<std::size_t>(host.size());
                for (int r = 0; r < host.size(); ++r)
                    reading.copy(
                        host.operation(r, sequence)
                            .in.subspan(slice * static_cast<std::size_t>(mine.rank), slice),
                        mine.out.data() + slice * static_cast<std::size_t>(r));
            });
    }
    /// Collective. The GPU's work of all ranks before it is done.
    void barrier() {
        device().synchronize();
        host_.barrier();
    }

    /// The stream's work before it is done when it is sent: the host waits for it.
    Pending send(std::span<const std::byte> message, int peer) {
        device().synchronize();
        return {host_.send(message, peer), nullptr, 0, 0};
    }
    Pending recv(std::span<std::byte> message, int peer) {
        device().synchronize();
        return {host_.recv(message, peer), nullptr, 0, 0};
    }

    /// Collective. Ranks of one color form a world, ordered by key, then by rank.
    CudaThreadComm split(int color, int key) { return CudaThreadComm{host_.split(color, key)}; }

private:
    static constexpr int most = ReduceElement<float, float>::most;

    /// While it lives this rank's stream reads its peers' buffers: after they are ready, and with
    /// an event after it.
    class Reading {
    public:
        Reading(detail::ThreadWorld& host, const detail::Operation& mine, std::uint64_t sequence)
            : world_{*static_cast<detail::CudaWorld*>(mine.context)},
              me_{world_.at(mine.rank)},
              place_{sequence % detail::CudaWorld::ring} {
            for (int r = 0; r < host.size(); ++r)
                if (r != mine.rank)
                    detail::check_cuda(
                        cudaStreamWaitEvent(device().stream(), world_.at(r).ready[place_]),
                        "cudaStreamWaitEvent");
        }
        Reading(const Reading&) = delete;
        Reading& operator=(const Reading&) = delete;
        ~Reading() { cudaEventRecord(me_.read[place_], device().stream()); }

        const Cuda& device() const { return me_.device; }
        void copy(std::span<const std::byte> from, std::byte* to) const {
            if (from.data() != to) device().copy(to, from.data(), from.size());
        }

    private:
        detail::CudaWorld& world_;
        detail::CudaWorld::Rank& me_;
        std::size_t place_;
    };

    /// Collective. The same ranks, whose messages may lie in the GPU's memory.
    static ThreadComm of_any_memory(ThreadComm comm) {
        const auto world = comm.share<detail::ThreadWorld>(0, [&] {
            std::vector<int> members;
            for (int r = 0; r < comm.size(); ++r) members.push_back(comm.world_->number_in_job(r));
            return std::make_shared<detail::ThreadWorld>(comm.world_->job(), std::move(members),
                                                         &copy_message);
        });
        return {world, comm.rank()};
    }
    static void copy_message(std::byte* to, const std::byte* from, std::size_t bytes) {
        const Cuda device;  // the receiver's
        device.copy(to, from, bytes);
        device.synchronize();
    }
    static bool is_on_gpu(const void* at) {
        if (at == nullptr) return false;
        cudaPointerAttributes attributes{};
        detail::check_cuda(cudaPointerGetAttributes(&attributes, at), "cudaPointerGetAttributes");
        return attributes.type == cudaMemoryTypeDevice || attributes.type == cudaMemoryTypeManaged;
    }
    Pending start(detail::Verb verb, std::span<const std::byte> in, std::span<std::byte> out,
                  int root, detail::Operation::Execute execute) {
        const std::uint64_t next = host_.world_->make_room(rank());
        detail::check_cuda(cudaEventRecord(world_->at(rank()).ready[next % detail::CudaWorld::ring],
                                           device().stream()),
                           "cudaEventRecord");
        return {host_.start(verb, in, out, root, execute, world_.get()), world_.get(), rank(),
                next};
    }

    ThreadComm host_;
    std::shared_ptr<detail::CudaWorld> world_;
};
static_assert(Communicator<CudaThreadComm>);

/// Runs `body(CudaThreadComm)` once a rank, as `run_ranks` does, all on GPU 0.
template <class Body>
void run_cuda_ranks(int size, Body body) {
    run_ranks(size, [&](ThreadComm comm) { body(CudaThreadComm{std::move(comm)}); });
}

}  // namespace zeropp
