// SPDX-License-Identifier: Apache-2.0
/// \file What the programs' command lines have in common: what options may say, and the sentence
/// where they say something else.
#pragma once

#include <charconv>
#include <cstdio>
#include <initializer_list>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include <zeropp/core/utf8.hpp>

/// "0 is given, expected 1 to 1024".
template <class T>
CLI::Validator within(T least, T most) {
    const std::string range = CLI::detail::to_string(least) + " to " + CLI::detail::to_string(most);
    return {[=](std::string& text) {
                T value{};  // not as CLI11 reads it, which takes what overflows for the largest
                const char* const end = text.data() + text.size();
                const auto [last, error] = std::from_chars(text.data(), end, value);
                if (error == std::errc{} && last == end && least <= value && value <= most)
                    return std::string{};
                return (text.empty() ? "nothing" : text) + " is given, expected " + range;
            },
            ""};
}
inline CLI::Validator a_path() {
    return {[](std::string& text) {
                return text.empty() ? "nothing is given, expected a path" : std::string{};
            },
            ""};
}
inline CLI::Validator one_of(std::initializer_list<std::string> names) {
    std::string all;
    for (const std::string& name : names) all += (all.empty() ? "" : " or ") + name;
    return {[names = std::vector<std::string>{names}, all](std::string& text) {
                for (const std::string& name : names)
                    if (name == text) return std::string{};
                return "'" + text + "' is given, expected " + all;
            },
            ""};
}

inline CLI::Validator a_text() {
    return {[](std::string& text) {
                return zeropp::first_invalid_utf8(text) == text.size()
                           ? std::string{}
                           : "bytes that are no UTF-8 are given, expected a text";
            },
            ""};
}

/// Says what is wrong, or the help that was asked for. Returns the exit status: 2 or 0.
inline int refused(const CLI::App& app, const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);  // --help
    std::string text = error.what();
    // "--lr: At Most 1 required but received 2"
    if (text.find("At Most 1 required") != text.npos)
        text = text.substr(0, text.find(':')) + " is given more than once, expected once";
    std::fprintf(stderr, "zeropp: command line: %s; see %s --help\n", text.c_str(),
                 app.get_name().c_str());
    return 2;
}
