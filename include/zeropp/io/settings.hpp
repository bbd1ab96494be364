// SPDX-License-Identifier: Apache-2.0
/// \file `Setting`: a value and who gave it, so that a contradiction can name both.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

#include <zeropp/core/error.hpp>

namespace zeropp {

/// Empty if nobody gave a value. `origin` is how a message names it:
/// `ds_config.json: train_batch_size`, `--batch-size`.
template <class T>
struct Setting {
    std::optional<T> value{};
    std::string origin{};
    bool automatic = false;  ///< asked for by "auto": somebody else decides

    bool given() const noexcept { return value.has_value(); }
    T value_or(T other) const { return value.value_or(std::move(other)); }
};

namespace detail {
template <class T>
std::string setting_text(const T& value) {
    std::string text;
    if constexpr (std::is_same_v<T, bool>)
        text = value ? "true" : "false";
    else if constexpr (std::is_same_v<T, std::array<double, 2>>)
        text = "[" + setting_text(value[0]) + ", " + setting_text(value[1]) + "]";
    else
        append_text(text, value);
    return text;
}
}  // namespace detail

/// Takes over `value` if nobody gave one before; a different one is an error that names both.
template <class T>
void merge(Setting<T>& setting, const T& value, const std::string& origin) {
    if (!setting.given()) {
        setting = {value, origin};
        return;
    }
    require(*setting.value == value, Errc::config, setting.origin, " is ",
            detail::setting_text(*setting.value), ", expected ", origin, "'s ",
            detail::setting_text(value), "; give one of the two, or the same value");
}

struct BatchSizes {
    std::int64_t train = 0;         ///< examples an optimizer step, of all ranks
    std::int64_t micro = 0;         ///< examples a micro-step of one rank
    std::int64_t accumulation = 1;  ///< micro-steps a step
};

namespace detail {

inline void require_multiple(const Setting<std::int64_t>& train, std::int64_t divisor,
                             const std::string& what) {
    const std::int64_t value = *train.value, below = value / divisor * divisor;
    if (below == value) return;
    const std::string nearest = below == 0 ? "the least is " + std::to_string(divisor)
                                           : "the nearest are " + std::to_string(below) + " and " +
                                                 std::to_string(below + divisor);
    fail(Errc::config, train.origin, " is ", value, ", expected a multiple of ", what, "; ",
         nearest);
}

}  // namespace detail

/// DeepSpeed's rule: train = micro * accumulation * ranks, any of the first three may be missing as
/// long as train or micro is given; a missing accumulation that nothing else decides is 1.
inline BatchSizes batch_sizes(const Setting<std::int64_t>& train,
                              const Setting<std::int64_t>& micro,
                              const Setting<std::int64_t>& accumulation, int ranks) {
    constexpr std::int64_t most_ranks = 1 << 20, most = 1'000'000;
    require(1 <= ranks && ranks <= most_ranks, Errc::config, "batch sizes: there are ", ranks,
            " ranks, expected 1 to ", most_ranks);
    const auto in_range = [](const Setting<std::int64_t>& setting, std::int64_t limit) {
        const std::int64_t value = setting.value_or(1);
        require(1 <= value && value <= limit, Errc::config, setting.origin, " is ", value,
                ", expected 1 to ", limit);
    };
    in_range(train, 1'000'000'000'000);
    in_range(micro, most);
    in_range(accumulation, most);
    require(train.given() || micro.given(), Errc::config,
            "batch sizes: neither train_batch_size nor train_micro_batch_size_per_gpu is given, "
            "expected at least one");
    const std::string of_ranks = std::to_string(ranks) + (ranks == 1 ? " rank" : " ranks");
    const auto derived = [&](BatchSizes sizes) {
        const bool is_micro = sizes.micro > most;
        require(!is_micro && sizes.accumulation <= most, Errc::config, train.origin, " is ",
                sizes.train, ", which makes ", is_micro ? sizes.micro : sizes.accumulation,
                is_micro ? " examples a micro-step" : " micro-steps a step", " on ", of_ranks,
                ", expected at most ", most);
        return sizes;
    };
    const auto named = [](const Setting<std::int64_t>& setting) {
        return std::to_string(*setting.value) + " (" + setting.origin + ")";
    };
    if (!train.given()) {
        const std::int64_t steps = accumulation.value_or(1);
        return {*micro.value * steps * ranks, *micro.value, steps};
    }
    if (micro.given() && accumulation.given()) {
        const std::int64_t product = *micro.value * *accumulation.value * ranks;
        require(*train.value == product, Errc::config, train.origin, " is ", *train.value,
                ", expected ", product, " = ", named(micro), " * ", named(accumulation), " * ",
                of_ranks);
        return {product, *micro.value, *accumulation.value};
    }
    if (micro.given()) {
        detail::require_multiple(train, *micro.value * ranks, named(micro) + " * " + of_ranks);
        return derived({*train.value, *micro.value, *train.value / (*micro.value * ranks)});
    }
    if (accumulation.given()) {
        detail::require_multiple(train, *accumulation.value * ranks,
                                 named(accumulation) + " * " + of_ranks);
        return derived(
            {*train.value, *train.value / (*accumulation.value * ranks), *accumulation.value});
    }
    detail::require_multiple(train, ranks, of_ranks);
    return derived({*train.value, *train.value / ranks, 1});
}

}  // namespace zeropp
