// SPDX-License-Identifier: Apache-2.0
/// \file Sizes of memory as people write and read them: "16GiB", "1.5 GB", "870.2 MiB".
#pragma once

#include <array>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <optional>
#include <string>
#include <string_view>

namespace zeropp {

namespace detail {

struct ByteUnit {
    std::string_view name;
    double bytes;
};
inline constexpr std::array<ByteUnit, 9> byte_units{{{"B", 1},
                                                     {"KiB", 0x1p10},
                                                     {"MiB", 0x1p20},
                                                     {"GiB", 0x1p30},
                                                     {"TiB", 0x1p40},
                                                     {"KB", 1e3},
                                                     {"MB", 1e6},
                                                     {"GB", 1e9},
                                                     {"TB", 1e12}}};

}  // namespace detail

inline constexpr std::string_view byte_size_expected =
    "a number and KB, MB, GB or TB (powers of 1000) or KiB, MiB, GiB or TiB (of 1024), such as "
    "16GiB";

/// Whole bytes, from 1 to 2^53; nothing where the text is no such size. A bare number is bytes.
inline std::optional<std::size_t> parse_byte_size(std::string_view text) {
    double number = 0;
    const char* const end = text.data() + text.size();
    const auto [last, error] = std::from_chars(text.data(), end, number, std::chars_format::fixed);
    if (error != std::errc{}) return {};
    std::string_view name{last, static_cast<std::size_t>(end - last)};
    if (name.starts_with(' ')) name.remove_prefix(1);
    for (const detail::ByteUnit& unit : detail::byte_units) {
        if (name != unit.name && !(last == end && unit.bytes == 1)) continue;
        const double bytes = std::floor(number * unit.bytes);
        if (!(1 <= bytes && bytes <= 0x1p53)) return {};
        return static_cast<std::size_t>(bytes);
    }
    return {};
}

/// In the largest unit of 1024 that leaves a number of 1 or more: "640 B", "15.9 GiB".
inline std::string byte_size_text(std::size_t bytes) {
    std::size_t unit = 0;
    while (unit < 4 && static_cast<double>(bytes) >= detail::byte_units[unit + 1].bytes) ++unit;
    char text[48];
    std::snprintf(text, sizeof text, "%.*f %s", unit == 0 ? 0 : 1,
                  static_cast<double>(bytes) / detail::byte_units[unit].bytes,
                  detail::byte_units[unit].name.data());
    return text;
}

}  // namespace zeropp
