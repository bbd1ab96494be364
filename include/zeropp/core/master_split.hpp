// SPDX-License-Identifier: Apache-2.0
/// \file How an fp32 master becomes the parameter that the model computes with.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include <zeropp/core/bits.hpp>
#include <zeropp/core/precision.hpp>

namespace zeropp {

/// The fp32 master of a Bf16 parameter, as the parameter and 16 more bits: exact.
/// The parameter is the master's upper half rounded to nearest, ties away from zero, so that the
/// remainder's top bit tells whether it was rounded up.
struct MasterSplit {
    ZEROPP_HD static constexpr float join(Bf16 upper, std::uint16_t lower) {
        const std::uint32_t high = static_cast<std::uint32_t>(upper.bits) - (lower >> 15);
        return bit_cast<float>((high << 16) | lower);
    }
    ZEROPP_HD static constexpr void split(float master, Bf16& upper, std::uint16_t& lower) {
        const auto bits = bit_cast<std::uint32_t>(master);
        upper.bits = static_cast<std::uint16_t>((bits + 0x8000u) >> 16);
        lower = static_cast<std::uint16_t>(bits);
    }
};

/// What an element keeps of its master beside the parameter.
struct MasterRow {
    std::string_view name;
    std::size_t bytes = 0;  ///< an element; 0: the parameter is its own master
};

/// How an element type keeps its fp32 master: `Part` is what stands beside the parameter.
template <Element E>
struct Master;

template <>
struct Master<float> {
    struct Part {};
    static constexpr bool keeps = false;
    static constexpr MasterRow row{};
    ZEROPP_HD static constexpr float join(float parameter, Part) { return parameter; }
    ZEROPP_HD static constexpr void split(float master, float& parameter, Part&) {
        parameter = master;
    }
};
template <>
struct Master<Bf16> : MasterSplit {
    using Part = std::uint16_t;
    static constexpr bool keeps = true;
    static constexpr MasterRow row{"master remainder", sizeof(Part)};
};
template <>
struct Master<Half> {
    using Part = float;
    static constexpr bool keeps = true;
    static constexpr MasterRow row{"master", sizeof(Part)};
    ZEROPP_HD static constexpr float join(Half, Part master) { return master; }
    ZEROPP_HD static constexpr void split(float master, Half& parameter, Part& part) {
        parameter = Half{master};
        part = master;
    }
};

constexpr MasterRow master_row(DType type) {
    return type == DType::fp32   ? Master<float>::row
           : type == DType::bf16 ? Master<Bf16>::row
                                 : Master<Half>::row;
}

/// The parameter of a master.
template <Element E>
ZEROPP_HD constexpr E published(float master) {
    E parameter{};
    typename Master<E>::Part part{};
    Master<E>::split(master, parameter, part);
    return parameter;
}

}  // namespace zeropp
