// SPDX-License-Identifier: Apache-2.0
/// \file `ConfigEntry`: a key of a configuration and what becomes of it.
#pragma once

#include <string>

#include <zeropp/io/schema/key.hpp>

namespace zeropp {

/// A key of the file and what becomes of it.
struct ConfigEntry {
    std::string path, value;  ///< the value as JSON, in ASCII
    Fate fate = Fate::honoured;
    std::string note, expected;  ///< `expected`: what would be supported
    bool automatic = false;      ///< the value is "auto"
};

}  // namespace zeropp
