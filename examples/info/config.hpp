// SPDX-License-Identifier: Apache-2.0
/// \file zeropp-info config: what becomes of a ds_config.json.
#pragma once

#include <string>

struct ConfigOptions {
    std::string file;
    int world = 1;
    bool lenient = false, json = false, table = false;
};

/// Returns the exit status. Errors are thrown.
int run_config(const ConfigOptions& options);
