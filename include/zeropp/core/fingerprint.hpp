// SPDX-License-Identifier: Apache-2.0
/// \file What ranks must agree on before they train: named fields, compared at start-up.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <zeropp/core/error.hpp>

namespace zeropp {

/// FNV-1a, 64 bits.
constexpr std::uint64_t hash_of(std::string_view text, std::uint64_t hash = 0xcbf29ce484222325u) {
    for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
    return hash;
}

struct Fingerprint {
    std::vector<std::pair<std::string, std::string>> fields;  ///< (name, value), in a fixed order

    void add(std::string name, std::string value) {
        fields.emplace_back(std::move(name), std::move(value));
    }
    void add(std::string name, const auto& value) {
        std::string text;
        append_text(text, value);
        add(std::move(name), std::move(text));
    }
    std::uint64_t hash() const {
        std::uint64_t hash = hash_of("");
        for (const auto& [name, value] : fields)
            hash = hash_of("\n", hash_of(value, hash_of("=", hash_of(name, hash))));
        return hash;
    }
};

}  // namespace zeropp
