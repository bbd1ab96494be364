// SPDX-License-Identifier: Apache-2.0
/// \file Weights into the shards and out of them: what training starts from, and what is saved.
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <vector>

#include <zeropp/comm/concepts.hpp>
#include <zeropp/core/precision.hpp>
#include <zeropp/device/concepts.hpp>
#include <zeropp/model/concepts.hpp>
#include <zeropp/zero/layout.hpp>
#include <zeropp/zero/parameters.hpp>
#include <zeropp/zero/stage.hpp>
#include <zeropp/zero/state.hpp>

namespace zeropp {

/// The bucket's first element that the rank updates.
template <Stage S>
std::size_t first_owned_by(const Bucket& bucket, int rank) {
    return S::shards_optimizer ? bucket.first_of_shard(rank) : 0;
}

/// Borrows all that it is made of.
template <Element E, Device D, Communicator C, Stage S>
class WeightAccess {
public:
    /// Elements of a parameter that `for_each` holds at a time.
    static constexpr std::size_t piece = std::size_t{1} << 20;

    WeightAccess(const std::vector<Unit>& units, const Layout& layout, C& comm, D device,
                 ParameterStore<E, S, C, D>& parameters, OptimizerState<E, D>& state)
        : units_{units},
          layout_{layout},
          comm_{comm},
          device_{device},
          parameters_{parameters},
          state_{state} {}

    /// Calls read(unit, parameter, first, span<float>) for initial values, and keeps what this rank
    /// stores of them.
    template <class Read>
    void fill(Read read) {
        std::vector<float> values(std::size_t{1} << 14);
        for (std::size_t b = 0; b < layout_.buckets().size(); ++b) {
            const auto [stored, stored_first] = parameters_.stored(b);
            const std::span<E> owned = parameters_.owned(b);
            const std::size_t owned_first = first_owned_by<S>(layout_.buckets()[b], comm_.rank());
            for (const Segment& segment : layout_.buckets()[b].segments) {
                const std::size_t end =
                    std::min(segment.first + segment.size, stored_first + stored.size());
                for (std::size_t at = std::max(segment.first, stored_first); at < end;) {
                    const std::size_t boundary = at < owned_first ? owned_first
                                                 : at < owned_first + owned.size()
                                                     ? owned_first + owned.size()
                                                     : end;
                    const std::size_t count = std::min({values.size(), end - at, boundary - at});
                    const std::span<float> chunk = std::span{values}.first(count);
                    read(segment.unit, segment.parameter, at - segment.first, chunk);
                    if (segment.trainable)
                        require_held<E>(units_[segment.unit].parameters[segment.parameter],
                                        at - segment.first, chunk);
                    if (at >= owned_first && at < owned_first + owned.size()) {
                        state_.set(b, at - owned_first, chunk, owned);
                    } else {
                        set_masters<E>(device_, chunk, stored.subspan(at - stored_first, count),
                                       {});
                    }
                    at += count;
                }
            }
        }
    }

    /// Collective: sends rank 0 the fp32 master of every parameter in layout order, `piece`
    /// elements at a time: (W-1)/W of 4 bytes an element where the optimizer is sharded. Calls
    /// visit(unit, parameter, first, values) on rank 0 with elements `first` on of the parameter.
    /// The values of what is frozen come in its own precision.
    template <class Visit>
    void for_each(Visit visit) {
        std::vector<float> values;
        for (std::size_t b = 0; b < layout_.buckets().size(); ++b)
            for (const Segment& segment : layout_.buckets()[b].segments)
                for (std::size_t at = 0; at < segment.size; at += piece) {
                    values.resize(std::min(piece, segment.size - at));
                    gather(b, segment.first + at, values);
                    if (comm_.rank() == 0)
                        visit(segment.unit, segment.parameter, at, std::span{values});
                }
    }

private:
    /// Elements `first` on of the bucket's master to rank 0, each from the rank that owns it.
    void gather(std::size_t b, std::size_t first, std::span<float> values) {
        const std::size_t shard = layout_.buckets()[b].shard, end = first + values.size();
        const std::span<E> owned = parameters_.owned(b);
        for (std::size_t at = first; at < end;) {
            const std::size_t owner = S::shards_optimizer ? at / shard : 0;
            const std::size_t next = S::shards_optimizer ? std::min(end, (owner + 1) * shard) : end;
            const std::span<float> part = values.subspan(at - first, next - at);
            const int from = static_cast<int>(owner);
            if (comm_.rank() == from)
                state_.get(b, at - first_owned_by<S>(layout_.buckets()[b], from), part, owned);
            if (from != 0 && comm_.rank() == from) comm_.send(std::as_bytes(part), 0).wait();
            if (from != 0 && comm_.rank() == 0)
                comm_.recv(std::as_writable_bytes(part), from).wait();
            at = next;
        }
    }

    const std::vector<Unit>& units_;
    const Layout& layout_;
    C& comm_;
    D device_;
    ParameterStore<E, S, C, D>& parameters_;
    OptimizerState<E, D>& state_;
};

}  // namespace zeropp
