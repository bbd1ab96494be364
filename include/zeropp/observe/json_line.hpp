// SPDX-License-Identifier: Apache-2.0
/// \file `JsonLine`: writes one JSON object as one line of text.
#pragma once

#include <charconv>
#include <cmath>
#include <concepts>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <zeropp/core/utf8.hpp>

namespace zeropp {

/// Fields in the order of the calls: `JsonLine{}.field("step", 1).field("loss", 0.5).text()`.
/// Numbers are written with the fewest digits that read back to the same value; a number that is
/// not finite becomes null, bytes that are not UTF-8 become U+FFFD.
class JsonLine {
public:
    template <class T>
    JsonLine& field(std::string_view name, const T& value) {
        text_ += text_.size() == 1 ? "" : ",";
        append(name);
        text_ += ':';
        append(value);
        return *this;
    }
    /// The object, without a line feed.
    std::string text() const { return text_ + "}"; }

private:
    void append(std::string_view value) {
        text_ += '"';
        while (!value.empty()) {
            const std::size_t length = utf8_length(value);
            if (length == 1)
                append_ascii(value.front());
            else if (length == 0)
                text_ += "\xEF\xBF\xBD";
            else
                text_ += value.substr(0, length);
            value.remove_prefix(length == 0 ? 1 : length);
        }
        text_ += '"';
    }
    void append(const char* value) { append(std::string_view{value}); }
    void append(const std::string& value) { append(std::string_view{value}); }
    void append(bool value) { text_ += value ? "true" : "false"; }
    template <std::integral T>
    void append(T value) {
        append_number(value);
    }
    template <std::floating_point T>
    void append(T value) {
        if (std::isfinite(value))
            append_number(value);
        else
            text_ += "null";
    }
    template <class T>
    void append(std::span<const T> values) {
        text_ += '[';
        for (std::size_t i = 0; i < values.size(); ++i) {
            if (i != 0) text_ += ',';
            append(values[i]);
        }
        text_ += ']';
    }
    template <class T>
    void append(const std::vector<T>& values) {
        append(std::span<const T>{values});
    }

    template <class T>
    void append_number(T value) {
        char digits[32];
        const auto end = std::to_chars(digits, digits + sizeof digits, value).ptr;
        text_.append(digits, end);
    }
    void append_ascii(char character) {
        constexpr std::string_view hex = "0123456789abcdef";
        const auto code = static_cast<unsigned char>(character);
        if (character == '"' || character == '\\') {
            text_ += '\\';
            text_ += character;
        } else if (character == '\n') {
            text_ += "\\n";
        } else if (character == '\t') {
            text_ += "\\t";
        } else if (code < 0x20) {
            text_ += "\\u00";
            text_ += hex[code >> 4];
            text_ += hex[code & 15];
        } else {
            text_ += character;
        }
    }

    std::string text_ = "{";
};

}  // namespace zeropp
