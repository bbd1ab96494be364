// SPDX-License-Identifier: Apache-2.0
/// \file Optimizers update one element; schedules set the rates of a step.
#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string_view>
#include <type_traits>

#include <zeropp/core/config.hpp>
#include <zeropp/core/error.hpp>
#include <zeropp/core/few.hpp>

namespace zeropp {

/// What a schedule sets. Base values come from the optimizer.
struct Rates {
    float lr = 0;
    float momentum = 0;
};

/// What every element of one step shares.
struct StepContext {
    std::int64_t index = 1;  ///< of the optimizer step; the first is 1
    Rates rates;
};

/// How an optimizer's memory is kept. The update reads and writes fp32 in any of them; what does
/// not fit is rounded up or down by chance, so that it is right in the mean. `block8`: a byte an
/// element, with a scale a block.
enum class SlotFormat : std::uint8_t { float32, bfloat16, block8 };

constexpr std::string_view name_of(SlotFormat format) {
    return format == SlotFormat::float32    ? "fp32"
           : format == SlotFormat::bfloat16 ? "bf16"
                                            : "8 bits";
}

/// One memory of each element, and its name: as in PyTorch's state_dict, a checkpoint key.
struct Slot {
    enum class Values : std::uint8_t { any, never_negative };

    std::string_view name;
    SlotFormat format;
    Values values;

    constexpr Slot(const char* its_name, SlotFormat its_format = SlotFormat::float32,
                   Values its_values = Values::any)
        : name{its_name}, format{its_format}, values{its_values} {}
    constexpr Slot(const char* its_name, Values its_values)
        : Slot{its_name, SlotFormat::float32, its_values} {}
};

/// What an element has in its slots, in fp32 and in the order of `slots`.
template <std::size_t N>
using SlotValues = Few<float, N>;

// clang-format off
/// Hyper-parameters as an aggregate; `slots`, its memory of an element, any number of them; `constants(context)`, computed once a step;
/// and the update of one fp32 element.
///
/// Law: element-wise, so any shard of it is the same update. Every multiply-add is an explicit fma.
template <class O>
concept Optimizer = std::is_aggregate_v<O> && requires(const O optimizer, StepContext now, float p, float g, SlotValues<O::slots.size()>& slots) {
    { optimizer.rates() } -> std::same_as<Rates>;
    { O::update(optimizer.constants(now), p, g, slots) } -> std::same_as<float>;   // (parameter, gradient) -> parameter
    { O::name } -> std::convertible_to<std::string_view>;
    { std::span<const Slot>{O::slots} };
};

/// An optimizer whose update needs sums over a whole tensor, such as norms; the shards of other
/// ranks count too. `measure` writes one element's terms, which are added in double; `with_sums`
/// gives the constants that the tensor's elements are updated with. Neither changes a slot.
template <class O>
concept MeasuresTensors = Optimizer<O> && requires(const O optimizer, StepContext now, float p, float g, const SlotValues<O::slots.size()>& slots,
                                                   Few<float, O::statistics>& terms, std::span<const double, O::statistics> sums) {
    O::measure(optimizer.constants(now), p, g, slots, terms);
    { O::with_sums(optimizer.constants(now), sums) } -> std::same_as<decltype(optimizer.constants(now))>;
};

/// A policy whose values may mean nothing: `check()` throws then. The trainer calls it first.
template <class P>
concept ChecksItself = requires(const P policy) { policy.check(); };

/// Any callable (step, base rates) -> rates; the first step is 1. A lambda will do.
template <class S>
concept Schedule = std::copy_constructible<S> && std::is_invocable_r_v<Rates, const S&, std::int64_t, Rates>;
// clang-format on

namespace detail {

inline void require_at_least_0(std::string_view policy, std::string_view name, double value) {
    require(value >= 0 && value <= std::numeric_limits<double>::max(), Errc::config, policy, ": ",
            name, " is ", value, ", expected 0 or more");
}
inline void require_below_1(std::string_view policy, std::string_view name, double value) {
    require(value >= 0 && value < 1, Errc::config, policy, ": ", name, " is ", value,
            ", expected 0 or more and less than 1");
}

}  // namespace detail

}  // namespace zeropp
