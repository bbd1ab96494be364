// SPDX-License-Identifier: Apache-2.0
/// \file What zeropp asks of a group of ranks.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>

#include <zeropp/core/precision.hpp>
#include <zeropp/device/concepts.hpp>
#include <zeropp/device/host.hpp>

namespace zeropp {

// clang-format off
/// A started operation. Its buffers belong to the communicator until `wait()` returns; done means
/// that the peers have finished reading them too. A default-constructed one is done.
/// Operations may be waited for in any order. A destructor never waits.
template <class P>
concept PendingOperation = std::movable<P> && std::default_initializable<P> && requires(P pending, Host device) {
    { pending.ready() } -> std::same_as<bool>;
    pending.wait();
    pending.wait_on(device);   // later work of the device comes after the operation
};

/// `W` equal ranks that call the same operations in the same order.
///
/// The one arithmetic of `reduce_scatter(in, out)`: with n = out.size(), in.size() == W * n,
///   out[i] = G(sum), sum = 0; for r = 0 .. W-1 in rank order: sum = fma(float(in_r[rank * n + i]), 1.0f / W, sum)
/// so it is the mean over ranks, summed in fp32 in rank order and rounded once, the same bits on every communicator.
/// `out` may be this rank's slice of `in` when E and G are the same type.
/// `all_gather(in, out)`: out.size() == W * in.size(); `in` may be this rank's slice of `out`.
/// Laws: tests/laws/communicator_laws.hpp.
template <class C>
concept Communicator = requires(C comm, const C view, std::span<const float> wide, std::span<float> wide_out,
                                std::span<const Bf16> narrow, std::span<Bf16> narrow_out,
                                std::span<const std::byte> in, std::span<std::byte> out, int peer) {
    { view.rank() } noexcept -> std::same_as<int>;
    { view.size() } noexcept -> std::same_as<int>;
    { comm.reduce_scatter(wide, wide_out) } -> PendingOperation;
    { comm.reduce_scatter(narrow, narrow_out) } -> PendingOperation;
    { comm.reduce_scatter(narrow, wide_out) } -> PendingOperation;
    { comm.all_gather(in, out) } -> PendingOperation;
    { comm.broadcast(out, peer) } -> PendingOperation;
    { comm.all_to_all(in, out) } -> PendingOperation;   // equal slices: slice r of `in` goes to rank r
    { comm.send(in, peer) } -> PendingOperation;
    { comm.recv(out, peer) } -> PendingOperation;
    comm.barrier();
    { comm.split(peer, peer) } -> std::same_as<C>;      // (color, key)
    { view.bytes_sent() } -> std::same_as<std::uint64_t>;
    /// Bytes of workspace that one reduce_scatter of `wire_bytes` (= in.size_bytes()) in flight needs; 0 if none.
    { view.workspace_bytes(std::size_t{}) } -> std::same_as<std::size_t>;
    /// Lends workspace until the same is returned. Of several that are lent, the largest is used;
    /// without a large enough one the communicator allocates as needed.
    comm.use_workspace(out);
    comm.return_workspace(out);   // completes the operations that use it
    { view.name() } -> std::convertible_to<std::string_view>;
};
// clang-format on

}  // namespace zeropp
