// SPDX-License-Identifier: Apache-2.0
/// \file Patterns of names: `*` stands for any characters, `?` for one.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string_view>
#include <vector>

namespace zeropp {

/// Characters to insert, delete or replace in `name` until the pattern matches it.
inline std::size_t edits_to_match(std::string_view pattern, std::string_view name) {
    std::vector<std::size_t> row(name.size() + 1);  // of the pattern so far, by length of the name
    for (std::size_t i = 0; i <= name.size(); ++i) row[i] = i;
    for (const char wanted : pattern) {
        std::size_t diagonal = row[0];
        row[0] += wanted != '*';
        for (std::size_t i = 1; i <= name.size(); ++i) {
            const std::size_t above = row[i];
            if (wanted == '*')
                row[i] = std::min(above, row[i - 1]);
            else
                row[i] = std::min({above + 1, row[i - 1] + 1,
                                   diagonal + (wanted != '?' && wanted != name[i - 1])});
            diagonal = above;
        }
    }
    return row[name.size()];
}

inline bool matches(std::string_view pattern, std::string_view name) {
    return edits_to_match(pattern, name) == 0;
}

}  // namespace zeropp
