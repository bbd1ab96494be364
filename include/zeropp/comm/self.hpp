// SPDX-License-Identifier: Apache-2.0
/// \file `SelfComm`: a world of one.
#pragma once

#include <algorithm>
#include <cstring>

#include <zeropp/comm/concepts.hpp>
#include <zeropp/comm/reduce.hpp>
#include <zeropp/core/error.hpp>

namespace zeropp {

class SelfComm {
public:
    struct Pending {
        bool ready() const noexcept { return true; }
        void wait() const noexcept {}
        template <Device D>
        void wait_on(const D&) const noexcept {}
    };

    int rank() const noexcept { return 0; }
    int size() const noexcept { return 1; }
    std::string_view name() const noexcept { return "self"; }

    template <Element E, Element G>
    Pending reduce_scatter(std::span<E> in, std::span<G> out) {
        return reduce_scatter(std::span<const E>{in}, out);
    }
    template <Element E, Element G>
    Pending reduce_scatter(std::span<const E> in, std::span<G> out) {
        require(in.size() == out.size(), Errc::shape, "SelfComm::reduce_scatter: in has ",
                in.size(), " elements, expected size() * out = ", out.size());
        reduce_in_rank_order<E, G>(
            1, [&](int) { return in.data(); }, out);
        return {};
    }
    Pending all_gather(std::span<const std::byte> in, std::span<std::byte> out) {
        return copy("all_gather", in, out);
    }
    Pending all_to_all(std::span<const std::byte> in, std::span<std::byte> out) {
        return copy("all_to_all", in, out);
    }
    Pending broadcast(std::span<std::byte>, int root) {
        require(root == 0, Errc::config, "SelfComm::broadcast: root is ", root, ", expected 0");
        return {};
    }
    Pending send(std::span<const std::byte>, int peer) {
        fail(Errc::config, "SelfComm::send: peer is ", peer,
             ", expected another rank of a larger world");
    }
    Pending recv(std::span<std::byte>, int peer) {
        fail(Errc::config, "SelfComm::recv: peer is ", peer,
             ", expected another rank of a larger world");
    }
    void barrier() noexcept {}
    SelfComm split(int, int) const noexcept { return {}; }
    std::uint64_t bytes_sent() const noexcept { return 0; }
    std::size_t workspace_bytes(std::size_t) const noexcept { return 0; }
    void use_workspace(std::span<std::byte>) noexcept {}
    void return_workspace(std::span<std::byte>) noexcept {}

private:
    static Pending copy(const char* verb, std::span<const std::byte> in, std::span<std::byte> out) {
        require(in.size() == out.size(), Errc::shape, "SelfComm::", verb, ": out has ", out.size(),
                " bytes, expected size() * in = ", in.size());
        if (in.data() != out.data() && !in.empty()) std::memcpy(out.data(), in.data(), in.size());
        return {};
    }
};
static_assert(Communicator<SelfComm>);

}  // namespace zeropp
