// SPDX-License-Identifier: Apache-2.0
/// \file Which rank owns which elements. Pure arithmetic; no memory, no communication.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string_view>
#include <vector>

#include <zeropp/core/error.hpp>
#include <zeropp/model/concepts.hpp>
#include <zeropp/zero/topology.hpp>

namespace zeropp {

/// One parameter's elements inside a bucket.
struct Segment {
    std::size_t unit = 0, parameter = 0;
    std::size_t first = 0, size = 0;  ///< elements of the bucket
    bool trainable = true;
    int group = 0;
    std::size_t tensor = 0;  ///< number among the trainable ones
};

/// Consecutive units that are gathered, reduced and updated together: first what is reduced and
/// updated, then what is frozen, each padded with zeros to equal shards, one for each rank of a
/// shard group.
///
/// A unit that is frozen as a whole never shares one with a unit that is not, and one that ends
/// with frozen parameters is the last of its bucket. So all that is frozen takes no gradient, state
/// or bytes of reduction, but for parameters that stand before trainable ones of their unit.
struct Bucket {
    std::size_t first_unit = 0, unit_count = 0;
    std::size_t used = 0;          ///< elements before the padding
    std::size_t active = 0;        ///< shard * ranks: those that are reduced and updated
    std::size_t shard = 0;         ///< of them a rank's, a multiple of Layout::shard_alignment
    std::size_t padded = 0;        ///< all, (shard + frozen_shard) * ranks
    std::size_t frozen_shard = 0;  ///< a rank's of those behind the active ones
    std::size_t full_offset = 0;   ///< elements of the buckets before it
    bool resident = false;
    bool trainable = false;     ///< holds a trainable parameter
    bool forward_only = false;  ///< holds units alone that backward does not use
    std::vector<Segment> segments;

    std::size_t first_of_shard(int rank) const { return shard * static_cast<std::size_t>(rank); }
    /// Of what is behind the active elements.
    std::size_t first_of_frozen_shard(int rank) const {
        return active + frozen_shard * static_cast<std::size_t>(rank);
    }
};

/// The order of all elements. It depends on the units, the topology and the bucket size, and on
/// nothing else: not on the stage, the precision or the optimizer.
///
/// Laws: shards tile each bucket in rank order without gap or overlap; segments do not overlap and
/// start at multiples of `parameter_alignment`; bucket order is unit order.
class Layout {
public:
    static constexpr std::size_t shard_alignment = 128;

    Layout() = default;
    /// Small units share a bucket of at most `bucket_elements`; a larger unit is a bucket by
    /// itself.
    Layout(const std::vector<Unit>& units, const Topology& topology, std::size_t bucket_elements)
        : topology_{topology} {
        require(topology.world() == topology.shard, Errc::config, "Layout: the groups are ",
                topology.shard, " shard, ", topology.replica, " replica, ", topology.tensor,
                " tensor and ", topology.pipeline, " pipeline, expected 1 of all but shard");
        require(!units.empty(), Errc::config,
                "Layout: the model has no units, expected at least one");
        for (std::size_t u = 0; u < units.size(); ++u) place(units[u], u, bucket_elements);
        require_names_differ(units);
        for (Bucket& bucket : buckets_) {
            const auto shard_of = [&](std::size_t elements) {
                const std::size_t step = topology.shard * shard_alignment;
                return (elements + step - 1) / step * shard_alignment;
            };
            bucket.shard = shard_of(bucket.active);
            bucket.active = bucket.shard * topology.shard;
            bucket.frozen_shard = shard_of(bucket.used - std::min(bucket.used, bucket.active));
            bucket.padded = bucket.active + bucket.frozen_shard * topology.shard;
            bucket.full_offset = full_size_;
            full_size_ += bucket.padded;
            shard_size_ += bucket.shard + bucket.frozen_shard;
        }
    }

    const Topology& topology() const noexcept { return topology_; }
    const std::vector<Bucket>& buckets() const noexcept { return buckets_; }
    std::size_t units() const noexcept { return places_.size(); }
    std::size_t bucket_of(std::size_t unit) const { return places_.at(unit).bucket; }
    /// Elements from the bucket's begin to the unit's.
    std::size_t offset_in_bucket(std::size_t unit) const { return places_.at(unit).offset; }
    std::size_t size_of_unit(std::size_t unit) const { return places_.at(unit).size; }
    std::size_t gradient_size_of_unit(std::size_t unit) const { return places_.at(unit).gradient; }
    /// Elements of all buckets with padding; of one rank's shards of all buckets.
    std::size_t full_size() const noexcept { return full_size_; }
    std::size_t shard_size() const noexcept { return shard_size_; }

private:
    struct Place {
        std::size_t bucket, offset, size, gradient;
    };

    static void require_names_differ(const std::vector<Unit>& units) {
        std::vector<std::string_view> names;
        for (const Unit& unit : units)
            for (const Parameter& parameter : unit.parameters) names.push_back(parameter.name);
        std::sort(names.begin(), names.end());
        const auto twice = std::adjacent_find(names.begin(), names.end());
        require(twice == names.end(), Errc::config, "Layout: two parameters are called '",
                twice == names.end() ? "" : *twice, "', expected names that differ");
    }
    void place(const Unit& unit, std::size_t index, std::size_t bucket_elements) {
        const std::size_t size = unit_size(unit);
        const bool trainable = std::any_of(unit.parameters.begin(), unit.parameters.end(),
                                           [](const Parameter& p) { return p.trainable; });
        require(!unit.forward_only || !trainable, Errc::config, "Layout: unit '", unit.name,
                "' is forward only and has a parameter to train, expected all of it frozen");
        const bool joins = !buckets_.empty() && buckets_.back().resident == unit.resident &&
                           buckets_.back().trainable == trainable &&
                           (!trainable || buckets_.back().active == buckets_.back().used) &&
                           buckets_.back().used + size <= bucket_elements;
        if (!joins) {
            buckets_.emplace_back();
            buckets_.back().first_unit = index;
            buckets_.back().resident = unit.resident;
            buckets_.back().trainable = trainable;
            buckets_.back().forward_only = true;
        }
        Bucket& bucket = buckets_.back();
        bucket.forward_only = bucket.forward_only && unit.forward_only;
        const std::size_t gradient = gradient_size(unit);
        places_.push_back({buckets_.size() - 1, bucket.used, size, gradient});
        if (trainable) bucket.active = bucket.used + gradient;
        for (std::size_t i = 0; i < unit.parameters.size(); ++i) {
            const Parameter& parameter = unit.parameters[i];
            require(parameter.size() != 0, Errc::shape, "Layout: parameter '", parameter.name,
                    "' has no elements, expected at least one");
            require(!parameter.tensor_axis || *parameter.tensor_axis < parameter.shape.size(),
                    Errc::shape, "Layout: parameter '", parameter.name, "' is divided along axis ",
                    parameter.tensor_axis.value_or(0), ", expected less than ",
                    parameter.shape.size());
            bucket.segments.push_back({index, i, bucket.used + parameter_offset(unit, i),
                                       parameter.size(), parameter.trainable, parameter.group,
                                       tensors_});
            tensors_ += parameter.trainable;
        }
        bucket.used += size;
        ++bucket.unit_count;
    }

    Topology topology_;
    std::vector<Bucket> buckets_;
    std::vector<Place> places_;
    std::size_t full_size_ = 0, shard_size_ = 0, tensors_ = 0;
};

/// Calls visit(first, count, group) for each longest run of elements of [first, last) of the bucket
/// that holds trainable parameters of one group alone. Gaps and padding belong to the run before
/// them: nobody reads what an optimizer makes of them.
template <class Visit>
void for_each_trainable_run(const Bucket& bucket, std::size_t first, std::size_t last,
                            Visit visit) {
    for (std::size_t s = 0; s < bucket.segments.size();) {
        const Segment& begin = bucket.segments[s];
        const auto joins = [&](const Segment& other) {
            return other.trainable == begin.trainable && other.group == begin.group;
        };
        do ++s;
        while (s < bucket.segments.size() && joins(bucket.segments[s]));
        if (!begin.trainable) continue;
        const std::size_t end = s < bucket.segments.size() ? bucket.segments[s].first : last;
        const std::size_t from = std::clamp(begin.first, first, last);
        const std::size_t to = std::clamp(end, first, last);
        if (from < to) visit(from, to - from, begin.group);
    }
}

/// Calls visit(segment, first, count) for what of each trainable parameter is in [first, last) of
/// the bucket: elements `first` on.
template <class Visit>
void for_each_trainable_segment(const Bucket& bucket, std::size_t first, std::size_t last,
                                Visit visit) {
    for (const Segment& segment : bucket.segments) {
        if (!segment.trainable) continue;
        const std::size_t from = std::max(segment.first, first);
        const std::size_t to = std::min(segment.first + segment.size, last);
        if (from < to) visit(segment, from, to - from);
    }
}

/// Calls visit(first, count) for the active elements of the bucket that are no trainable
/// parameter's: gaps, padding and frozen parameters.
template <class Visit>
void for_each_gap(const Bucket& bucket, Visit visit) {
    std::size_t at = 0;
    for (const Segment& segment : bucket.segments) {
        if (!segment.trainable) continue;
        if (segment.first > at) visit(at, segment.first - at);
        at = segment.first + segment.size;
    }
    if (bucket.active > at) visit(at, bucket.active - at);
}

}  // namespace zeropp
