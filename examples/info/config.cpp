// SPDX-License-Identifier: Apache-2.0
/// \file zeropp-info config: a report of the file, or the sentences that refuse it.
#include "config.hpp"

#include <iostream>
#include <string>

#include <zeropp/core/error.hpp>
#include <zeropp/io/config_report.hpp>

namespace zp = zeropp;

namespace {

std::string text_of(const ConfigOptions& options) {
    if (options.table) return zp::config_table();
    const zp::Config config = zp::read_config(options.file);
    if (!options.lenient) zp::require_supported(config);
    const zp::ConfigReport report = zp::config_report(config, options.world);
    for (const std::string& sentence : zp::unsupported_sentences(config))
        std::cerr << "zeropp: warning: " << sentence << '\n';
    return options.json ? zp::json_document(zp::config_json(report)) : zp::config_text(report);
}

}  // namespace

int run_config(const ConfigOptions& options) {
    std::cout << text_of(options) << std::flush;
    zp::require(std::cout.good(), zp::Errc::io,
                "standard output: cannot be written, expected a reader with room");
    return 0;
}
