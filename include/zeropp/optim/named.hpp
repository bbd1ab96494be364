// SPDX-License-Identifier: Apache-2.0
/// \file The library's optimizers by their names, as a program's options have them.
#pragma once

#include <algorithm>
#include <array>
#include <span>
#include <string>
#include <string_view>

#include <zeropp/core/error.hpp>
#include <zeropp/optim/adagrad.hpp>
#include <zeropp/optim/adamw.hpp>
#include <zeropp/optim/concepts.hpp>
#include <zeropp/optim/lion.hpp>
#include <zeropp/optim/sgd.hpp>

namespace zeropp {

/// What an optimizer is called and what it remembers of each element.
struct NamedSlots {
    std::string_view name;
    std::span<const Slot> slots;
};
template <Optimizer... Os>
inline constexpr std::array<NamedSlots, sizeof...(Os)> named_slots{
    NamedSlots{Os::name, Os::slots}...};
inline constexpr auto& optimizers = named_slots<AdamW, Adam, Sgd, MomentumSgd, Lion, Adagrad>;

inline std::string optimizer_names() {
    std::string all;
    for (const NamedSlots& one : optimizers) {
        if (!all.empty()) all += &one == &optimizers.back() ? " or " : ", ";
        all += one.name;
    }
    return all;
}

/// The name in any case, as in a DeepSpeed file.
inline const NamedSlots& optimizer_named(std::string_view name) {
    const auto lower = [](char c) { return 'A' <= c && c <= 'Z' ? static_cast<char>(c + 32) : c; };
    for (const NamedSlots& one : optimizers)
        if (std::equal(name.begin(), name.end(), one.name.begin(), one.name.end(),
                       [&](char a, char b) { return lower(a) == lower(b); }))
            return one;
    fail(Errc::config, "optimizer '", name, "' is unknown, expected ", optimizer_names());
}

}  // namespace zeropp
