// SPDX-License-Identifier: Apache-2.0
/// \file Whether bytes are UTF-8 (Unicode 15, table 3-7).
#pragma once

#include <cstddef>
#include <string_view>

namespace zeropp {

/// Offset of the first byte that begins no well-formed character; text.size() if there is none.
inline std::size_t first_invalid_utf8(std::string_view text) {
    const auto byte = [&](std::size_t at) {
        return at < text.size() ? static_cast<unsigned char>(text[at]) : 0u;
    };
    std::size_t at = 0;
    while (at < text.size()) {
        const unsigned first = byte(at), second = byte(at + 1);
        if (first < 0x80) {
            ++at;
            continue;
        }
        std::size_t more = 0;
        unsigned least = 0x80, most = 0xBF;  // of the second byte
        if (first >= 0xC2 && first <= 0xDF) {
            more = 1;
        } else if (first >= 0xE0 && first <= 0xEF) {
            more = 2;
            if (first == 0xE0) least = 0xA0;
            if (first == 0xED) most = 0x9F;
        } else if (first >= 0xF0 && first <= 0xF4) {
            more = 3;
            if (first == 0xF0) least = 0x90;
            if (first == 0xF4) most = 0x8F;
        }
        if (more == 0 || second < least || second > most) return at;
        for (std::size_t i = 2; i <= more; ++i)
            if ((byte(at + i) & 0xC0) != 0x80) return at;
        at += more + 1;
    }
    return text.size();
}

}  // namespace zeropp
