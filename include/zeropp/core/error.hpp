// SPDX-License-Identifier: Apache-2.0
/// \file The one exception type, and the one way to raise it.
/// Text: `zeropp: <where>: <what is>, expected <what should be>[; <what to do>]`, no full stop.
#pragma once

#include <concepts>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <string_view>

namespace zeropp {

/// Who can mend it: `config` and `shape` the caller, the others the environment.
enum class Errc { config, shape, communication, device, io, numeric };

class Error : public std::runtime_error {
public:
    Error(Errc code, const std::string& what)
        : std::runtime_error{"zeropp: " + what}, code_{code} {}
    Errc code() const noexcept { return code_; }

private:
    Errc code_;
};

/// Parts of messages: strings, characters, numbers, and types with an `append_text` of their own.
inline void append_text(std::string& text, std::string_view part) { text += part; }
inline void append_text(std::string& text, char part) { text += part; }
inline void append_text(std::string& text, std::integral auto part) {
    text += std::to_string(part);
}
/// The fewest digits that are read back as the same value.
template <std::floating_point T>
void append_text(std::string& text, T part) {
    char digits[32];
    if (-1e6 < part && part < 1e6 && part == static_cast<T>(static_cast<long>(part)))
        return append_text(text, static_cast<long>(part));  // not 1e+01
    for (int count = 1; count <= 17; ++count) {
        std::snprintf(digits, sizeof digits, "%.*g", count, static_cast<double>(part));
        if (static_cast<T>(std::strtod(digits, nullptr)) == part) break;
    }
    text += digits;
}

template <class... Parts>
std::string message(const Parts&... parts) {
    std::string text;
    (append_text(text, parts), ...);
    return text;
}
template <class... Parts>
[[noreturn]] void fail(Errc code, const Parts&... parts) {
    throw Error{code, message(parts...)};
}

/// Checked in every build type: a precondition that vanishes under NDEBUG protects nobody.
template <class... Parts>
void require(bool holds, Errc code, const Parts&... parts) {
    if (!holds) [[unlikely]]
        fail(code, parts...);
}

}  // namespace zeropp
