// SPDX-License-Identifier: Apache-2.0
/// \file `Json`, and parsing it: errors name the text and the place, a key given twice is refused.
#pragma once

#include <algorithm>
#include <cstddef>
#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include <zeropp/core/error.hpp>

namespace zeropp {

/// Objects are sorted by key.
using Json = nlohmann::json;

/// Of several lines. What is not UTF-8, such as a file's name may be, is replaced.
inline std::string json_document(const Json& value) {
    return value.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

namespace detail {

/// "line 3, column 7" of the byte `offset`; of a text of one line "column 7".
inline std::string place_in(std::string_view text, std::size_t offset) {
    const std::string_view before = text.substr(0, std::min(offset, text.size()));
    const std::size_t newline = before.rfind('\n');
    const std::size_t column =
        newline == std::string_view::npos ? before.size() : before.size() - newline - 1;
    const std::string where = "column " + std::to_string(column + 1);
    if (text.find('\n') >= text.size() - 1) return where;
    return "line " + std::to_string(1 + std::count(before.begin(), before.end(), '\n')) + ", " +
           where;
}

/// Watches a parse: the keys of every object that is open, to find one given twice.
class JsonKeys {
public:
    explicit JsonKeys(const std::string& name) : name_{name} {}

    bool operator()(int depth, Json::parse_event_t event, const Json& value) {
        using Event = Json::parse_event_t;
        if (event == Event::object_start || event == Event::array_start) {
            require(depth < deepest, Errc::config, name_, ": values are nested deeper than ",
                    deepest, ", expected less");
            open_.emplace_back();
        } else if (event == Event::object_end || event == Event::array_end) {
            open_.pop_back();
        } else if (event == Event::key) {
            const auto& key = value.get_ref<const std::string&>();
            open_.back().last = key;
            if (!open_.back().keys.insert(key).second) refuse();
        }
        return true;
    }

private:
    static constexpr int deepest = 64;
    struct Object {
        std::set<std::string> keys;
        std::string last;
    };
    [[noreturn]] void refuse() const {
        std::string path;
        for (const Object& object : open_)
            if (!object.last.empty()) path += (path.empty() ? "" : ".") + object.last;
        fail(Errc::config, name_, ": ", path, " is given twice, expected once");
    }

    const std::string& name_;
    std::vector<Object> open_;
};

}  // namespace detail

/// `name` stands for the text in messages: `config.json`, `train.jsonl: line 17`.
inline Json parse_json(std::string_view text, const std::string& name) {
    require(text.find_first_not_of(" \t\r\n") != std::string_view::npos, Errc::config, name,
            ": is empty, expected JSON");
    detail::JsonKeys keys{name};
    try {
        return Json::parse(text.begin(), text.end(), std::ref(keys));
    } catch (const Json::exception& error) {
        std::string place;  // of a number that overflows the message says which, not where
        if (const auto* parse = dynamic_cast<const Json::parse_error*>(&error)) {
            const std::size_t at = std::min(text.size(), parse->byte == 0 ? 0 : parse->byte - 1);
            place = detail::place_in(text, at) + ": ";
            if (at < text.size() && (text[at] == '/' || text[at] == '#'))
                fail(Errc::config, name, ": ", place,
                     "a comment, expected JSON, which has none; take it out");
            for (const char* number : {"Infinity", "NaN"})  // which Python writes
                if (text.substr(at).starts_with(number))
                    fail(Errc::config, name, ": ", place, "a value is ",
                         at > 0 && text[at - 1] == '-' ? "-" : "", number,
                         ", expected a finite number: JSON has no others");
        }
        // "[id] parse error at line 1, column 2: syntax error ...", or "[id] number overflow ...".
        std::string what = error.what();
        what.erase(0, what.find("] ") + 2);
        if (what.starts_with("parse error")) what.erase(0, what.find(": ") + 2);
        const std::size_t read = what.find("last read: ");  // all of a text that does not end
        const std::size_t most = 60, expected = what.rfind("; expected ");
        if (read < expected && std::min(expected, what.size()) - read > most)
            what.replace(read + most, std::min(expected, what.size()) - read - most, "...");
        fail(Errc::config, name, ": ", place, what,
             what.find("; expected ") == std::string::npos ? ", expected JSON" : "");
    }
}

}  // namespace zeropp
