// SPDX-License-Identifier: Apache-2.0
/// \file Reads CSV as RFC 4180 has it: a header, quoted fields that may hold line breaks.
#pragma once

#include <cstddef>
#include <istream>
#include <string>
#include <utility>
#include <vector>

#include <zeropp/core/error.hpp>
#include <zeropp/core/utf8.hpp>

namespace zeropp {

/// Borrows the stream. `name` stands for the file in errors.
class CsvReader {
public:
    CsvReader(std::istream& stream, std::string name) : stream_{stream}, name_{std::move(name)} {}

    /// The line that the last record began on, from 1.
    std::size_t line() const { return record_line_; }

    /// The next record that is more than an empty line; false at the end of the file.
    bool next(std::vector<std::string>& fields) {
        do {
            record_line_ = line_ + 1;
            if (!read(fields)) return false;
        } while (fields.size() == 1 && fields[0].empty() && !quoted_);
        for (std::size_t i = 0; i < fields.size(); ++i)
            require(first_invalid_utf8(fields[i]) == fields[i].size(), Errc::config, name_,
                    ": line ", record_line_, ", column ", i + 1, ": is not UTF-8, expected UTF-8");
        return true;
    }

private:
    /// Up to and including the line break that ends the record.
    bool read(std::vector<std::string>& fields) {
        fields.assign(1, {});
        quoted_ = false;
        int letter = get();
        if (letter == end) return false;
        for (;; letter = get()) {
            if (letter == '"' && fields.back().empty()) {
                letter = read_quoted(fields);
                require(letter == ',' || letter == '\n' || letter == end, Errc::config, name_,
                        ": line ", line_ + 1, ", column ", fields.size(),
                        ": more follows the closing quote, expected a comma or the end of the "
                        "line; a quote inside quotes is written twice");
            }
            if (letter == '\n' || letter == end) break;
            if (letter == ',')
                fields.emplace_back();
            else
                fields.back() += static_cast<char>(letter);
        }
        ++line_;
        return true;
    }
    /// Past the closing quote; returns what follows it.
    int read_quoted(std::vector<std::string>& fields) {
        quoted_ = true;
        for (;;) {
            int letter = get_raw();
            require(letter != end, Errc::config, name_, ": line ", record_line_, ", column ",
                    fields.size(),
                    ": a quote is opened and not closed, expected a closing quote before the end "
                    "of the file");
            if (letter == '\n') ++line_;
            if (letter == '"') {
                letter = get();
                if (letter != '"') return letter;
            }
            fields.back() += static_cast<char>(letter);
        }
    }

    int get_raw() { return stream_.rdbuf()->sbumpc(); }
    /// "\r\n" is one line break.
    int get() {
        const int letter = get_raw();
        if (letter == '\r' && stream_.rdbuf()->sgetc() == '\n') return get_raw();
        return letter;
    }

    static constexpr int end = std::char_traits<char>::eof();
    std::istream& stream_;
    std::string name_;
    std::size_t line_ = 0, record_line_ = 0;
    bool quoted_ = false;
};

}  // namespace zeropp
