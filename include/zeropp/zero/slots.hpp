// SPDX-License-Identifier: Apache-2.0
/// \file How an optimizer's slots are stored. What is rounded is rounded up or down with the
/// probability that makes it right in the mean: a moving average whose steps are smaller than half
/// a digit would stand still otherwise.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include <zeropp/core/bits.hpp>
#include <zeropp/core/config.hpp>
#include <zeropp/core/precision.hpp>
#include <zeropp/device/for_each.hpp>
#include <zeropp/optim/concepts.hpp>

namespace zeropp {

/// Elements that share a scale in `SlotFormat::block8`. Shards and parameters begin at multiples of
/// it, so that a block is one rank's and one tensor's.
inline constexpr std::size_t slot_block = 128;

/// Bytes that so many elements take in a slot: a multiple of `slot_block`.
constexpr std::size_t slot_bytes(SlotFormat format, std::size_t elements) {
    switch (format) {
        case SlotFormat::float32:
            return elements * sizeof(float);
        case SlotFormat::bfloat16:
            return elements * sizeof(Bf16);
        case SlotFormat::block8:
            break;
    }
    return elements + elements / slot_block * sizeof(float);
}

/// Chance for one slot of one step: the same for an element on every rank, stage and device.
struct SlotChance {
    std::uint32_t seed = 0;

    SlotChance() = default;
    constexpr SlotChance(std::int64_t step, std::size_t bucket, std::size_t slot)
        : seed{mixed(static_cast<std::uint32_t>(step) * 0x9e3779b1u ^
                     mixed(static_cast<std::uint32_t>(bucket * 64 + slot)))} {}

    /// 32 bits, of the bucket's element.
    ZEROPP_HD ZEROPP_INLINE constexpr std::uint32_t of(std::size_t element) const {
        return mixed(static_cast<std::uint32_t>(element) * 0x85ebca77u + seed);
    }

private:
    /// Murmur3's finalizer (Appleby, 2011).
    ZEROPP_HD ZEROPP_INLINE static constexpr std::uint32_t mixed(std::uint32_t x) {
        x = (x ^ (x >> 16)) * 0x85ebca6bu;
        x = (x ^ (x >> 13)) * 0xc2b2ae35u;
        return x ^ (x >> 16);
    }
};

/// Down, or up with the probability of what is cut off.
ZEROPP_HD ZEROPP_INLINE constexpr Bf16 to_bf16_by_chance(float value, std::uint32_t chance) {
    const auto bits = bit_cast<std::uint32_t>(value);
    Bf16 result;
    const std::uint32_t sum = is_finite(value) ? bits + (chance & 0xffffu) : bits;
    result.bits = static_cast<std::uint16_t>(sum >> 16);
    return result;
}

/// Numbers of 7 bits (4 of exponent, 3 of mantissa) and a sign, or of 8 bits (5 and 3) that are
/// never negative. In units of a block's scale: from 0 by 2^-17 (2^-33) to 1.875.
template <bool is_signed>
struct Code8 {
    static constexpr std::uint32_t exponent_bits = is_signed ? 4 : 5;
    static constexpr std::uint32_t largest_exponent = (1u << exponent_bits) - 1;  ///< means 2^0
    static constexpr float top = 1.875f;
    static constexpr std::uint32_t rebias = (127u - largest_exponent) << 3;
    static constexpr float least_normal = is_signed ? 0x1p-14f : 0x1p-30f;
    static constexpr float units = is_signed ? 0x1p17f : 0x1p33f;  ///< 1 / the step below it

    ZEROPP_HD ZEROPP_INLINE static constexpr std::uint8_t encode(float value,
                                                                 std::uint32_t chance) {
        const auto bits = bit_cast<std::uint32_t>(value);
        const std::uint32_t magnitude = bits & 0x7fffffffu;
        const std::uint32_t normal = ((magnitude + (chance & 0xfffffu)) >> 20) - rebias;
        const float size = bit_cast<float>(magnitude);
        const float steps = size * units + static_cast<float>(chance & 0xffffu) * 0x1p-16f;
        const auto tiny = static_cast<std::uint32_t>(size < least_normal ? steps : 0.0f);
        std::uint32_t code = size < least_normal ? tiny : normal;
        constexpr std::uint32_t most = is_signed ? 0x7fu : 0xffu;
        code = code < most ? code : most;
        if constexpr (is_signed)
            code |= (bits >> 31) << 7;
        else  // what was there does not vanish: an update divides by it
            code = code == 0 && magnitude != 0 ? 1 : code;
        return static_cast<std::uint8_t>(code);
    }
    ZEROPP_HD ZEROPP_INLINE static constexpr float decode(std::uint8_t byte) {
        const std::uint32_t code = is_signed ? byte & 0x7fu : byte;
        const float tiny = static_cast<float>(code) * (1.0f / units);
        const float size = code < 8 ? tiny : bit_cast<float>((code + rebias) << 20);
        if constexpr (is_signed)
            return bit_cast<float>(bit_cast<std::uint32_t>(size) |
                                   (static_cast<std::uint32_t>(byte >> 7) << 31));
        return size;
    }
};

namespace detail {

struct ReadBf16 {
    const Bf16* from;
    float* to;
    ZEROPP_HD ZEROPP_INLINE void operator()(std::size_t i) const { to[i] = from[i]; }
};
struct WriteBf16 {
    const float* from;
    Bf16* to;
    SlotChance chance;
    std::size_t first;
    ZEROPP_HD ZEROPP_INLINE void operator()(std::size_t i) const {
        to[i] = to_bf16_by_chance(from[i], chance.of(first + i));
    }
};
template <bool is_signed>
struct Read8 {
    const std::uint8_t* from;
    float scale;
    float* to;
    ZEROPP_HD ZEROPP_INLINE void operator()(std::size_t i) const {
        to[i] = Code8<is_signed>::decode(from[i]) * scale;
    }
};
template <bool is_signed>
struct Write8 {
    const float* from;
    float inverse_scale;
    std::uint8_t* to;
    SlotChance chance;
    std::size_t first;
    ZEROPP_HD ZEROPP_INLINE void operator()(std::size_t i) const {
        to[i] = Code8<is_signed>::encode(from[i] * inverse_scale, chance.of(first + i));
    }
};

inline float largest_magnitude(const float* values, std::size_t count) {
    std::uint32_t most = 0;
    vectorized([&, values, count]() ZEROPP_INLINE {
        std::uint32_t lane[16] = {};
        std::size_t i = 0;
        for (; i + 16 <= count; i += 16)
            for (std::size_t j = 0; j < 16; ++j) {
                const std::uint32_t size = bit_cast<std::uint32_t>(values[i + j]) & 0x7fffffffu;
                lane[j] = lane[j] < size ? size : lane[j];
            }
        for (; i < count; ++i) {
            const std::uint32_t size = bit_cast<std::uint32_t>(values[i]) & 0x7fffffffu;
            lane[0] = lane[0] < size ? size : lane[0];
        }
        for (const std::uint32_t each : lane) most = most < each ? each : most;
    });
    constexpr std::uint32_t largest_finite = 0x7f7fffffu;
    return bit_cast<float>(std::min(most, largest_finite));
}

}  // namespace detail

/// One slot of the elements of a bucket that this rank owns, on the host.
class SlotView {
public:
    SlotView(const Slot& slot, std::byte* memory, std::size_t owned)
        : slot_{slot}, memory_{memory}, owned_{owned} {}

    SlotFormat format() const noexcept { return slot_.format; }
    /// Of element `at`, in a format that is none of blocks.
    std::byte* place(std::size_t at) const noexcept {
        return memory_ + slot_bytes(slot_.format, at);
    }

    /// Elements [at, at + count) in fp32: in place, or unpacked to `buffer`. `at` is a multiple of
    /// `slot_block`.
    float* read(std::size_t at, std::size_t count, float* buffer) const {
        switch (slot_.format) {
            case SlotFormat::float32:
                return reinterpret_cast<float*>(memory_) + at;
            case SlotFormat::bfloat16:
                for_each_element(Host{}, count,
                                 detail::ReadBf16{reinterpret_cast<Bf16*>(memory_) + at, buffer});
                break;
            case SlotFormat::block8:
                in_blocks(at, count, [&](std::size_t first, std::size_t size, float& scale) {
                    const auto* from = reinterpret_cast<const std::uint8_t*>(memory_) + at + first;
                    if (is_signed())
                        for_each_element(Host{}, size,
                                         detail::Read8<true>{from, scale, buffer + first});
                    else
                        for_each_element(Host{}, size,
                                         detail::Read8<false>{from, scale, buffer + first});
                });
        }
        return buffer;
    }
    /// What `read` gave, changed since. `first` is element `at` within the bucket.
    void write(std::size_t at, std::size_t count, const float* values, SlotChance chance,
               std::size_t first_in_bucket) const {
        switch (slot_.format) {
            case SlotFormat::float32:
                return;
            case SlotFormat::bfloat16:
                return for_each_element(
                    Host{}, count,
                    detail::WriteBf16{values, reinterpret_cast<Bf16*>(memory_) + at, chance,
                                      first_in_bucket});
            case SlotFormat::block8:
                in_blocks(at, count, [&](std::size_t first, std::size_t size, float& scale) {
                    scale = detail::largest_magnitude(values + first, size) / Code8<true>::top;
                    // Of a scale so small that its inverse overflows, all codes are 0.
                    const float inverse = scale > 0x1p-126f ? 1.0f / scale : 0.0f;
                    auto* to = reinterpret_cast<std::uint8_t*>(memory_) + at + first;
                    if (is_signed())
                        for_each_element(Host{}, size,
                                         detail::Write8<true>{values + first, inverse, to, chance,
                                                              first_in_bucket + first});
                    else
                        for_each_element(Host{}, size,
                                         detail::Write8<false>{values + first, inverse, to, chance,
                                                               first_in_bucket + first});
                });
        }
    }

private:
    bool is_signed() const { return slot_.values == Slot::Values::any; }
    /// The scales follow the codes.
    template <class Visit>
    void in_blocks(std::size_t at, std::size_t count, Visit visit) const {
        auto* const scales = reinterpret_cast<float*>(memory_ + owned_);
        for (std::size_t first = 0; first < count; first += slot_block)
            visit(first, std::min(slot_block, count - first), scales[(at + first) / slot_block]);
    }

    Slot slot_;
    std::byte* memory_;
    std::size_t owned_;
};

}  // namespace zeropp
