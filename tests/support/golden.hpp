// SPDX-License-Identifier: Apache-2.0
/// \file Where the golden data lies: tests/golden, beside this folder.
#pragma once

#include <filesystem>
#include <string>

namespace zeropp::testing {

inline std::filesystem::path golden(const std::string& name) {
    return std::filesystem::path{__FILE__}.parent_path().parent_path() / "golden" / name;
}

}  // namespace zeropp::testing
