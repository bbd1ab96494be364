// SPDX-License-Identifier: Apache-2.0
/// \file The one exception type, and the one way to raise it.
/// Text: `zeropp: <where>: <what is>, expected <what should be>[; <what to do>]`, no full stop.
#pragma once

#include <sstream>
#include <stdexcept>
#include <string>

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

template <class... Parts>
[[noreturn]] void fail(Errc code, const Parts&... parts) {
    std::ostringstream text;
    (text << ... << parts);
    throw Error{code, text.str()};
}

/// Checked in every build type: a precondition that vanishes under NDEBUG protects nobody.
template <class... Parts>
void require(bool holds, Errc code, const Parts&... parts) {
    if (!holds) [[unlikely]]
        fail(code, parts...);
}

}  // namespace zeropp
