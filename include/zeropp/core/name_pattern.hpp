// SPDX-License-Identifier: Apache-2.0
/// \file Patterns of names: `*` stands for any characters, `?` for one.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string_view>
#include <vector>

namespace zeropp {

/// Characters to insert, delete, replace or swap with the next one in `name` until the pattern
/// matches it (optimal string alignment).
inline std::size_t edits_to_match(std::string_view pattern, std::string_view name) {
    using Row = std::vector<std::size_t>;  // of the pattern so far, by length of the name
    Row row(name.size() + 1), before(row), before_that(row);
    for (std::size_t j = 0; j <= name.size(); ++j) row[j] = j;
    for (std::size_t i = 0; i < pattern.size(); ++i) {
        before_that.swap(before);
        before.swap(row);
        const char wanted = pattern[i];
        row[0] = before[0] + (wanted != '*');
        for (std::size_t j = 1; j <= name.size(); ++j) {
            if (wanted == '*') {
                row[j] = std::min(before[j], row[j - 1]);
                continue;
            }
            row[j] = std::min({before[j] + 1, row[j - 1] + 1,
                               before[j - 1] + (wanted != '?' && wanted != name[j - 1])});
            const bool swapped =
                i > 0 && j > 1 && wanted == name[j - 2] && pattern[i - 1] == name[j - 1];
            if (swapped) row[j] = std::min(row[j], before_that[j - 2] + 1);
        }
    }
    return row[name.size()];
}

inline bool matches(std::string_view pattern, std::string_view name) {
    return edits_to_match(pattern, name) == 0;
}

}  // namespace zeropp
