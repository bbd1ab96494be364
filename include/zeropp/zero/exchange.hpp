// SPDX-License-Identifier: Apache-2.0
/// \file What ranks tell each other at the end of a step: a few doubles each.
#pragma once

#include <cstddef>
#include <span>

#include <zeropp/comm/concepts.hpp>
#include <zeropp/device/arena.hpp>
#include <zeropp/device/host.hpp>

namespace zeropp {

/// Owns the arenas "communication": the doubles, which the host reads and writes, and the workspace
/// that it lends the communicator for as long as it lives.
template <Communicator C, Device D>
class Exchange {
public:
    Exchange(C& comm, std::size_t doubles, std::size_t arena_bytes, std::size_t workspace, D device)
        : comm_{comm},
          memory_{"communication", arena_bytes},
          workspace_{"communication", workspace, device},
          mine_{memory_.take<double>(doubles)},
          all_{memory_.take<double>(doubles * static_cast<std::size_t>(comm.size()))},
          lent_{workspace_.template take<std::byte>(workspace)} {
        if (!lent_.empty()) comm_.use_workspace(lent_);
    }
    Exchange(const Exchange&) = delete;
    Exchange& operator=(const Exchange&) = delete;
    ~Exchange() {
        if (!lent_.empty()) comm_.return_workspace(lent_);
    }

    int rank() const noexcept { return comm_.rank(); }
    int ranks() const noexcept { return comm_.size(); }
    std::span<double> mine() const noexcept { return mine_; }
    /// Collective. Sends (W-1) times the first `count` of `mine()`.
    void operator()(std::size_t count) {
        count_ = count;
        const auto ranks = static_cast<std::size_t>(comm_.size());
        comm_
            .all_gather(std::as_bytes(mine_.first(count)),
                        std::as_writable_bytes(all_.first(count * ranks)))
            .wait();
    }
    /// What `rank` told in the last exchange.
    std::span<const double> of_rank(int rank) const {
        return all_.subspan(count_ * static_cast<std::size_t>(rank), count_);
    }
    std::size_t bytes_used() const { return memory_.used() + workspace_.used(); }
    std::size_t bytes_reserved() const { return memory_.capacity() + workspace_.capacity(); }

private:
    C& comm_;
    Arena<Host> memory_;
    Arena<D> workspace_;
    std::span<double> mine_, all_;
    std::size_t count_ = 0;
    std::span<std::byte> lent_;
};

}  // namespace zeropp
