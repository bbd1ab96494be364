// SPDX-License-Identifier: Apache-2.0
/// \file The golden texts: objects of tests/golden/text/NAME.jsonl, see tests/golden/text.py.
#pragma once

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace zeropp::testing {

inline std::filesystem::path golden_text(const std::string& name) {
    return std::filesystem::path{__FILE__}.parent_path().parent_path() / "golden" / "text" / name;
}

inline std::vector<nlohmann::json> golden_objects(const std::string& name) {
    std::ifstream stream{golden_text(name)};
    std::vector<nlohmann::json> objects;
    for (std::string line; std::getline(stream, line);)
        objects.push_back(nlohmann::json::parse(line));
    return objects;
}

}  // namespace zeropp::testing
