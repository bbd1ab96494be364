// SPDX-License-Identifier: Apache-2.0
/// \file Parameters that are not trained, chosen by name.
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <zeropp/core/error.hpp>
#include <zeropp/core/name_pattern.hpp>
#include <zeropp/model/concepts.hpp>

namespace zeropp {

inline bool is_frozen(const Unit& unit) {
    return std::none_of(unit.parameters.begin(), unit.parameters.end(),
                        [](const Parameter& parameter) { return parameter.trainable; });
}

namespace detail {

/// The three names that come nearest to the pattern.
inline std::string names_near(const std::vector<Unit>& units, const std::string& pattern) {
    std::vector<std::pair<std::size_t, std::string>> all;
    for (const Unit& unit : units)
        for (const Parameter& parameter : unit.parameters)
            all.emplace_back(edits_to_match(pattern, parameter.name), parameter.name);
    std::stable_sort(all.begin(), all.end(),
                     [](const auto& a, const auto& b) { return a.first < b.first; });
    std::string text;
    for (std::size_t i = 0; i < std::min<std::size_t>(3, all.size()); ++i)
        text += (i == 0 ? "'" : ", '") + all[i].second + "'";
    return text;
}

}  // namespace detail

/// Marks as not trainable what any of the patterns matches (`*` any characters, `?` one).
///
/// What is frozen takes parameters and nothing else: no gradient, staging, master or slots, and no
/// bytes on the wire but stage 3's gathers; except where it stands before trainable parameters of
/// its unit, or is one of `Unit::joint_gradients`. A model puts it last, as T5 does.
inline void freeze(std::vector<Unit>& units, std::span<const std::string> patterns) {
    for (const std::string& pattern : patterns) {
        bool found = false;
        for (Unit& unit : units)
            for (Parameter& parameter : unit.parameters)
                if (matches(pattern, parameter.name)) {
                    parameter.trainable = false;
                    found = true;
                }
        require(found, Errc::config, "freeze: no parameter is called '", pattern,
                "', expected one that the pattern matches, such as ",
                detail::names_near(units, pattern));
    }
    require(patterns.empty() || !std::all_of(units.begin(), units.end(), is_frozen), Errc::config,
            "freeze: all parameters are frozen, expected at least one to train");
}

}  // namespace zeropp
