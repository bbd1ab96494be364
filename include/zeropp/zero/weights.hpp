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
        for (std::size_t b = 0; b < layout_.buckets().size(); ++b)
            for (const auto& [stored, first] : parameters_.stored(b))
                for (const Segment& segment : layout_.buckets()[b].segments)
                    fill_segment(b, segment, stored, first, read, values);
    }

    /// Collective: sends rank 0 the fp32 master of every parameter in layout order, `piece`
    /// elements at a time: (W-1)/W of 4 bytes an element where the optimizer is sharded. Calls
    /// visit(unit, parameter, first, values) on rank 0 with elements `first` on of the
    /// parameter. The values of what is frozen come in its own precision.
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
    /// What of the segment is in `stored`, which begins with element `stored_first` of the
    /// bucket.
    template <class Read>
    void fill_segment(std::size_t b, const Segment& segment, std::span<E> stored,
                      std::size_t stored_first, Read& read, std::span<float> values) {
        const std::span<E> owned = parameters_.owned(b);
        const std::size_t owned_first = first_owned_by<S>(layout_.buckets()[b], comm_.rank()),
                          owned_end = owned_first + owned.size(),
                          end =
                              std::min(segment.first + segment.size, stored_first + stored.size());
        for (std::size_t at = std::max(segment.first, stored_first); at < end;) {
            const bool is_owned = owned_first <= at && at < owned_end;
            const std::size_t boundary = at < owned_first ? owned_first
                                         : is_owned       ? owned_end
                                                          : end;
            const std::size_t count = std::min({values.size(), end - at, boundary - at});
            const std::span<float> chunk = values.first(count);
            read(segment.unit, segment.parameter, at - segment.first, chunk);
            require_held<E>(units_[segment.unit].parameters[segment.parameter], at - segment.first,
                            chunk);
            if (is_owned)
                state_.set(b, at - owned_first, chunk, owned);
            else
                set_masters<E>(device_, chunk, stored.subspan(at - stored_first, count), {});
            at += count;
        }
    }
    /// Elements `first` on of the bucket's master to rank 0, each from the rank that owns it.
    void gather(std::size_t b, std::size_t first, std::span<float> values) {
        const Bucket& bucket = layout_.buckets()[b];
        const std::size_t end = first + values.size();
        for (std::size_t at = first; at < end;) {
            const bool is_active = at < bucket.active;
            const std::size_t begin = is_active ? 0 : bucket.active,
                              shard = is_active ? bucket.shard : bucket.frozen_shard;
            const bool is_sharded = is_active ? S::shards_optimizer : S::shards_parameters;
            const std::size_t owner = is_sharded ? (at - begin) / shard : 0,
                              its_end = is_sharded  ? begin + (owner + 1) * shard
                                        : is_active ? bucket.active
                                                    : bucket.padded;
            const std::span<float> part = values.subspan(at - first, std::min(end, its_end) - at);
            const int from = static_cast<int>(owner);
            if (comm_.rank() == from) read(b, at, part);
            if (from != 0 && comm_.rank() == from) comm_.send(std::as_bytes(part), 0).wait();
            if (from != 0 && comm_.rank() == 0)
                comm_.recv(std::as_writable_bytes(part), from).wait();
            at += part.size();
        }
    }
    /// Elements `at` on of the bucket, which this rank has.
    void read(std::size_t b, std::size_t at, std::span<float> values) {
        const Bucket& bucket = layout_.buckets()[b];
        if (at < bucket.active) {
            state_.get(b, at - first_owned_by<S>(bucket, comm_.rank()), values,
                       parameters_.owned(b));
        } else {
            const auto [stored, first] = parameters_.stored(b)[S::shards_parameters ? 1 : 0];
            get_masters<E>(device_, stored.subspan(at - first, values.size()), {}, values);
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
