// SPDX-License-Identifier: Apache-2.0
/// \file Reads pairs of source and target text from JSONL and CSV files.
#pragma once

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include <zeropp/core/error.hpp>
#include <zeropp/core/json.hpp>
#include <zeropp/data/csv.hpp>
#include <zeropp/data/dataset.hpp>
#include <zeropp/data/input.hpp>

namespace zeropp {

namespace detail {

inline std::ifstream open_examples(const std::filesystem::path& path) {
    std::ifstream stream = open_input(path, "a file with an example a line");
    constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";
    std::size_t same = 0;
    while (same < byte_order_mark.size() &&
           stream.peek() == static_cast<unsigned char>(byte_order_mark[same])) {
        stream.get();
        ++same;
    }
    if (same < byte_order_mark.size())  // a pipe too can take back what has just been read
        for (; same > 0; --same) stream.unget();
    return stream;
}

inline std::string listed(const std::vector<std::string>& names) {
    std::string text;
    for (const std::string& name : names) text += (text.empty() ? "'" : ", '") + name + "'";
    return text.empty() ? "none" : text;
}

inline std::string text_of(const Json& object, const std::string& column,
                           const std::string& where) {
    const auto found = object.find(column);
    if (found == object.end()) {
        std::vector<std::string> names;
        for (const auto& [name, value] : object.items()) names.push_back(name);
        fail(Errc::config, where, ": has no column '", column, "', expected one; its columns are ",
             listed(names));
    }
    require(found->is_string(), Errc::config, where, ": column '", column, "': is ",
            found->type_name(), ", expected a string");
    return found->get<std::string>();
}

template <class Each>
void read_jsonl(std::istream& stream, const std::string& name, const TextColumns& columns,
                Each& each) {
    std::size_t number = 0;
    for (std::string line; std::getline(stream, line);) {
        const std::string where = name + ": line " + std::to_string(++number);
        if (line.find_first_not_of(" \t\r") == line.npos) continue;
        const Json object = parse_json(line, where);
        require(object.is_object(), Errc::config, where, ": is ", object.type_name(),
                ", expected a JSON object");
        TextExample example{text_of(object, columns.source, where), {}};
        if (!columns.target.empty()) example.target = text_of(object, columns.target, where);
        each(std::move(example));
    }
}

template <class Each>
void read_csv(std::istream& stream, const std::string& name, const TextColumns& columns,
              Each& each) {
    CsvReader reader{stream, name};
    std::vector<std::string> header, fields;
    if (!reader.next(header)) return;
    const auto place_of = [&](const std::string& column) {
        const auto found = std::ranges::find(header, column);
        require(found != header.end(), Errc::config, name, ": line ", reader.line(),
                ": has no column '", column, "', expected one; its columns are ", listed(header));
        return static_cast<std::size_t>(found - header.begin());
    };
    const std::size_t source = place_of(columns.source);
    const std::size_t target = columns.target.empty() ? source : place_of(columns.target);
    while (reader.next(fields)) {
        require(fields.size() == header.size(), Errc::config, name, ": line ", reader.line(),
                ": has ", fields.size(), " columns, expected ", header.size(),
                " as the first line");
        each(TextExample{fields[source], columns.target.empty() ? std::string{} : fields[target]});
    }
}

}  // namespace detail

/// Calls `each(TextExample)` in the order of the file. A name ending in .csv is CSV with a header,
/// any other JSON Lines. Empty lines are passed over. A file without an example is an error.
template <class Each>
void for_each_example(const std::filesystem::path& path, const TextColumns& columns, Each each) {
    std::ifstream stream = detail::open_examples(path);
    std::size_t count = 0;
    const auto counted = [&](TextExample example) {
        ++count;
        each(std::move(example));
    };
    if (path.extension() == ".csv")
        detail::read_csv(stream, path.string(), columns, counted);
    else
        detail::read_jsonl(stream, path.string(), columns, counted);
    require(count > 0, Errc::config, path.string(), ": is empty, expected at least one example");
}

inline std::vector<TextExample> read_examples(const std::filesystem::path& path,
                                              const TextColumns& columns) {
    std::vector<TextExample> examples;
    for_each_example(path, columns,
                     [&](TextExample example) { examples.push_back(std::move(example)); });
    return examples;
}

template <class Encoder>
Seq2SeqDataset read_dataset(const std::filesystem::path& path, const Encoder& encoder,
                            const Seq2SeqFormat& format, std::size_t threads = 1) {
    return tokenize(read_examples(path, format.columns), encoder, format, threads);
}

}  // namespace zeropp
