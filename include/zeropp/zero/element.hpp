// SPDX-License-Identifier: Apache-2.0
/// \file What a step does to one element: function objects that every device runs as they are.
#pragma once

#include <cstddef>
#include <utility>

#include <zeropp/core/config.hpp>
#include <zeropp/core/few.hpp>
#include <zeropp/core/master_split.hpp>
#include <zeropp/core/precision.hpp>
#include <zeropp/optim/concepts.hpp>
#include <zeropp/zero/slots.hpp>

namespace zeropp {

/// to = from, rounded.
template <Element From, Element To>
struct RoundElement {
    const From* from;
    To* to;

    ZEROPP_HD ZEROPP_INLINE void operator()(std::size_t i) const {
        to[i] = static_cast<To>(static_cast<float>(from[i]));
    }
};

/// sum += from in fp32, rounded.
template <Element From, Element Sum>
struct AddElement {
    const From* from;
    Sum* sum;

    ZEROPP_HD ZEROPP_INLINE void operator()(std::size_t i) const {
        sum[i] = static_cast<Sum>(static_cast<float>(sum[i]) + static_cast<float>(from[i]));
    }
};

/// The parameter that follows from a master, and the rest of the master; `part` is null where no
/// master is kept.
template <Element E>
struct SplitElement {
    const float* from;
    E* parameter;
    typename Master<E>::Part* part;

    ZEROPP_HD ZEROPP_INLINE void operator()(std::size_t i) const {
        typename Master<E>::Part rest{};
        Master<E>::split(from[i], parameter[i], rest);
        if (part != nullptr) part[i] = rest;
    }
};
template <Element E>
struct JoinElement {
    const E* parameter;
    const typename Master<E>::Part* part;
    float* to;

    ZEROPP_HD ZEROPP_INLINE void operator()(std::size_t i) const {
        to[i] = part == nullptr ? static_cast<float>(parameter[i])
                                : Master<E>::join(parameter[i], part[i]);
    }
};

/// Where the slots of consecutive elements are.
template <std::size_t N>
using SlotPlaces = Few<std::byte*, N>;

/// Unscales, clips, updates and casts. `master` is null where none is kept.
template <Optimizer O, Element E, Element G, class Constants>
struct UpdateElement {
    Constants constants;
    float scale;
    E* parameter;
    typename Master<E>::Part* master;
    const G* gradient;
    SlotPlaces<O::slots.size()> slots;

    ZEROPP_HD ZEROPP_INLINE void operator()(std::size_t i) const { update(i, All{}); }

private:
    using All = std::make_index_sequence<O::slots.size()>;

    template <std::size_t... N>
    ZEROPP_HD ZEROPP_INLINE void update(std::size_t i, std::index_sequence<N...>) const {
        SlotValues<sizeof...(N)> values{
            static_cast<float>(reinterpret_cast<const SlotElement<O, N>*>(slots[N])[i])...};
        typename Master<E>::Part part{};
        if constexpr (Master<E>::keeps) part = master[i];
        const float updated = O::update(constants, Master<E>::join(parameter[i], part),
                                        static_cast<float>(gradient[i]) * scale, values);
        Master<E>::split(updated, parameter[i], part);
        if constexpr (Master<E>::keeps) master[i] = part;
        ((reinterpret_cast<SlotElement<O, N>*>(slots[N])[i] = SlotElement<O, N>(values[N])), ...);
    }
};

}  // namespace zeropp
