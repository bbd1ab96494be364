// SPDX-License-Identifier: Apache-2.0
/// \file Flags of the optimizer that zeropp-t5 train and zeropp-plan have in common, once they are
/// in a configuration: one that would change nothing is refused.
#pragma once

#include <optional>
#include <string>

#include <zeropp/core/error.hpp>
#include <zeropp/io/config.hpp>
#include <zeropp/io/optimizers.hpp>
#include <zeropp/io/settings.hpp>

[[noreturn]] inline void refuse_unused(const char* flag, const std::string& value,
                                       const char* expected) {
    zeropp::fail(zeropp::Errc::config, "command line: ", flag, value.empty() ? "" : " is ", value,
                 value.empty() ? " is given" : "", ", expected ", expected);
}

inline void require_optimizer_uses(const zeropp::Config& config,
                                   const std::optional<double>& momentum,
                                   const std::optional<std::string>& optimizer_states) {
    if (momentum && config.optimizer.type.value_or("AdamW") != "SGD")
        refuse_unused("--momentum", zeropp::detail::setting_text(*momentum),
                      "it with --optimizer SGD alone");
    if (optimizer_states.value_or("fp32") != "fp32" &&
        zeropp::optimizer_of(config).make_rule({})->slots().empty())
        refuse_unused("--optimizer-states", *optimizer_states, "an optimizer that keeps moments");
}
