// SPDX-License-Identifier: Apache-2.0
/// \file What a step does to one element: function objects that every device runs as they are.
#pragma once

#include <cstddef>

#include <zeropp/core/config.hpp>
#include <zeropp/core/master_split.hpp>
#include <zeropp/core/precision.hpp>

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

/// to = from * scale in fp32.
template <Element G>
struct ScaleElement {
    const G* from;
    float scale;
    float* to;

    ZEROPP_HD ZEROPP_INLINE void operator()(std::size_t i) const {
        to[i] = static_cast<float>(from[i]) * scale;
    }
};

}  // namespace zeropp
