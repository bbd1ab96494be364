// SPDX-License-Identifier: Apache-2.0
/// \file `UpdateElement`: an optimizer's update of one element, as a GPU's thread does it.
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

/// The same optimizer with all of its slots in one format.
template <Optimizer O, SlotFormat format>
struct WithSlots : O {
    static constexpr auto slots = [] {
        auto all = O::slots;
        for (Slot& slot : all) slot.format = format;
        return all;
    }();
};

/// Where the slots of consecutive elements are.
template <std::size_t N>
using SlotPlaces = Few<std::byte*, N>;

/// What the host does in blocks, for one element: unscales, clips, updates and casts. `master` is
/// null where none is kept; `first` is the first element's place in its bucket.
template <Optimizer O, Element E, Element G, class Constants>
struct UpdateElement {
    Constants constants;
    float scale;
    E* parameter;
    typename Master<E>::Part* master;
    const G* gradient;
    SlotPlaces<O::slots.size()> slots;
    Few<SlotChance, O::slots.size()> chances;
    std::size_t first;

    ZEROPP_HD ZEROPP_INLINE void operator()(std::size_t i) const { update(i, All{}); }

private:
    using All = std::make_index_sequence<O::slots.size()>;
    template <std::size_t N>
    static constexpr SlotFormat format = O::slots[N].format;

    template <std::size_t N>
    ZEROPP_HD ZEROPP_INLINE float read(std::size_t i) const {
        static_assert(format<N> != SlotFormat::block8, "zeropp: on a GPU slots are fp32 or bf16");
        if constexpr (format<N> == SlotFormat::float32)
            return reinterpret_cast<const float*>(slots[N])[i];
        else
            return reinterpret_cast<const Bf16*>(slots[N])[i];
    }
    template <std::size_t N>
    ZEROPP_HD ZEROPP_INLINE void write(std::size_t i, float value) const {
        if constexpr (format<N> == SlotFormat::float32)
            reinterpret_cast<float*>(slots[N])[i] = value;
        else
            reinterpret_cast<Bf16*>(slots[N])[i] =
                to_bf16_by_chance(value, chances[N].of(first + i));
    }
    template <std::size_t... N>
    ZEROPP_HD ZEROPP_INLINE void update(std::size_t i, std::index_sequence<N...>) const {
        SlotValues<sizeof...(N)> values{read<N>(i)...};
        typename Master<E>::Part part{};
        if constexpr (Master<E>::keeps) part = master[i];
        const float updated = O::update(constants, Master<E>::join(parameter[i], part),
                                        static_cast<float>(gradient[i]) * scale, values);
        Master<E>::split(updated, parameter[i], part);
        if constexpr (Master<E>::keeps) master[i] = part;
        (write<N>(i, values[N]), ...);
    }
};

}  // namespace zeropp
