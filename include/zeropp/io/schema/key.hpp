// SPDX-License-Identifier: Apache-2.0
/// \file One row of the table of DeepSpeed's configuration keys.
#pragma once

#include <cstdint>
#include <limits>
#include <string_view>

namespace zeropp {

/// What becomes of a key. `harmless`: accepted and listed, changes nothing here, for the reason in
/// its note. `unsupported`: an error that says what to do, unless the value leaves it off.
enum class Fate : std::uint8_t { honoured, harmless, unsupported };

constexpr std::string_view name_of(Fate fate) {
    return fate == Fate::honoured   ? "honoured"
           : fate == Fate::harmless ? "harmless"
                                    : "not supported";
}

struct ConfigKey {
    enum class Kind : std::uint8_t {
        flag,
        whole,
        wholes,  ///< a list of them, 1 to 64
        number,
        two_numbers,
        text,
        choice,
        words,  ///< a list of choices, spelt as they are
        block,
        any
    };

    std::string_view path;  ///< "zero_optimization.stage"; "x.*": any key of block x
    Kind kind = Kind::any;
    std::string_view standard;  ///< DeepSpeed's default as JSON; empty: none
    Fate fate = Fate::honoured;
    std::string_view note;  ///< what it does, why it changes nothing, or what to do instead
    double least = 0, most = std::numeric_limits<double>::infinity();
    std::string_view choices{};  ///< "a|b"; in any case; of "x.*" the keys that there are
    std::string_view off{};      ///< JSON values, by '|', that leave what is unsupported off
    std::string_view of{};       ///< types of optimizer or scheduler, by '|', that have it
    bool automatic = false;      ///< may be "auto" though its block does not take it everywhere

    constexpr ConfigKey range(double from, double to) const {
        ConfigKey key = *this;
        key.least = from;
        key.most = to;
        return key;
    }
    constexpr ConfigKey from(double lowest) const { return range(lowest, most); }
    constexpr ConfigKey unless(std::string_view values) const {
        ConfigKey key = *this;
        key.off = values;
        return key;
    }
    constexpr ConfigKey only_of(std::string_view types) const {
        ConfigKey key = *this;
        key.of = types;
        return key;
    }
    constexpr ConfigKey or_auto() const {
        ConfigKey key = *this;
        key.automatic = true;
        return key;
    }
};

namespace schema {

using Kind = ConfigKey::Kind;

/// Below 1: what betas, momenta and the like are.
inline constexpr double below_one = 1.0 - 1e-9, below_zero = -1e-9;
inline constexpr double largest_whole = 9007199254740992.0;  ///< 2^53

constexpr ConfigKey row(std::string_view path, Kind kind, std::string_view standard, Fate fate,
                        std::string_view note) {
    ConfigKey key;
    key.path = path;
    key.kind = kind;
    key.standard = standard;
    key.fate = fate;
    key.note = note;
    if (kind == Kind::whole) key.most = largest_whole;
    // What is not supported is so where it is more than DeepSpeed's default.
    if (fate == Fate::unsupported) key.off = standard;
    return key;
}
constexpr ConfigKey flag(std::string_view path, std::string_view standard, Fate fate,
                         std::string_view note) {
    return row(path, Kind::flag, standard, fate, note);
}
constexpr ConfigKey whole(std::string_view path, std::string_view standard, Fate fate,
                          std::string_view note) {
    return row(path, Kind::whole, standard, fate, note);
}
constexpr ConfigKey number(std::string_view path, std::string_view standard, Fate fate,
                           std::string_view note) {
    return row(path, Kind::number, standard, fate, note);
}
constexpr ConfigKey text(std::string_view path, std::string_view standard, Fate fate,
                         std::string_view note) {
    return row(path, Kind::text, standard, fate, note);
}
constexpr ConfigKey any(std::string_view path, std::string_view standard, Fate fate,
                        std::string_view note) {
    return row(path, Kind::any, standard, fate, note);
}
constexpr ConfigKey choice(std::string_view path, std::string_view standard,
                           std::string_view choices, Fate fate, std::string_view note) {
    ConfigKey key = row(path, Kind::choice, standard, fate, note);
    key.choices = choices;
    return key;
}
constexpr ConfigKey words(std::string_view path, std::string_view standard,
                          std::string_view choices, Fate fate, std::string_view note) {
    ConfigKey key = row(path, Kind::words, standard, fate, note);
    key.choices = choices;
    return key;
}
/// The other keys of a block, by `names`: "x.*".
constexpr ConfigKey others(std::string_view path, std::string_view names, std::string_view note) {
    ConfigKey key = row(path, Kind::any, "", Fate::harmless, note);
    key.choices = names;
    return key;
}
constexpr ConfigKey block(std::string_view path) {
    return row(path, Kind::block, "", Fate::honoured, "");
}

inline constexpr Fate honoured = Fate::honoured, harmless = Fate::harmless,
                      unsupported = Fate::unsupported;

}  // namespace schema
}  // namespace zeropp
