// SPDX-License-Identifier: Apache-2.0
/// \file zeropp-prepare_descriptions: makes training and validation files of what
/// fetch_descriptions.sh has fetched: summaries of package descriptions, a JSON object a line with
/// "description", "synopsis" and "source_package"; and a plain text of the training set.
#include <algorithm>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <zeropp/core/error.hpp>

#include "../command_line.hpp"
#include "descriptions.hpp"
#include "output.hpp"

namespace {

namespace fs = std::filesystem;
using zeropp::Errc;
using zeropp::require;

std::string read(const fs::path& path) {
    std::ifstream stream{path, std::ios::binary};
    require(stream.good(), Errc::io, path.string(),
            ": cannot be read, expected what fetch_descriptions.sh writes");
    std::string text{std::istreambuf_iterator<char>{stream}, {}};
    require(!text.empty(), Errc::io, path.string(),
            ": is empty, expected what fetch_descriptions.sh writes");
    return text;
}

/// Whole or not at all.
template <class Line>
void write(const fs::path& path, const std::vector<Description>& descriptions, Line line) {
    fs::path part = path;
    part += ".part";
    std::ofstream stream{part, std::ios::binary};
    for (const Description& one : descriptions) stream << line(one) << '\n';
    stream.close();
    require(!stream.fail(), Errc::io, part.string(),
            ": cannot be written, expected room on the disk");
    fs::rename(part, path);
}

std::string json_line(const Description& one) {
    const nlohmann::ordered_json object{{"description", one.text},
                                        {"synopsis", one.synopsis},
                                        {"source_package", one.source_package}};
    return object.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

std::size_t median_words(const std::vector<Description>& descriptions,
                         std::string Description::*text) {
    std::vector<std::size_t> counts;
    for (const Description& one : descriptions) {
        const std::string& words = one.*text;
        counts.push_back(1 + static_cast<std::size_t>(std::count(words.begin(), words.end(), ' ')));
    }
    const auto middle = counts.begin() + static_cast<std::ptrdiff_t>(counts.size() / 2);
    std::nth_element(counts.begin(), middle, counts.end());
    return *middle;
}

void prepare(const fs::path& lists, const fs::path& output) {
    require_writable_folder(output, "--output");
    const std::string packages = read(lists / "Packages");
    const std::string translations = read(lists / "Translation-en");
    const DescriptionSets sets = split_descriptions(packages, translations);
    require(!sets.train.empty() && !sets.validation.empty(), Errc::config, lists.string(), ": ",
            sets.train.size(), " descriptions for training and ", sets.validation.size(),
            " for validation, expected some of each; fetch the files again");
    fs::create_directories(output);
    write(output / "train.jsonl", sets.train, json_line);
    write(output / "validation.jsonl", sets.validation, json_line);
    write(output / "train.txt", sets.train,
          [](const Description& one) { return one.synopsis + '\n' + one.text; });

    std::set<std::string_view> sources;
    for (const auto* set : {&sets.train, &sets.validation})
        for (const Description& one : *set) sources.insert(one.source_package);
    std::printf("%zu texts; %zu repeat another and %zu belong to no package; %zu are left\n",
                sets.texts, sets.repeated, sets.without_package,
                sets.texts - sets.repeated - sets.without_package);
    std::printf("of %zu source packages; medians: %zu words a description, %zu a synopsis\n",
                sources.size(), median_words(sets.train, &Description::text),
                median_words(sets.train, &Description::synopsis));
    std::printf(
        "%zu for training, %zu for validation (%zu whose description is in training left "
        "out)\n",
        sets.train.size(), sets.validation.size(), sets.leaking);
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app{"zeropp-prepare_descriptions: package descriptions as training examples",
                 "zeropp-prepare_descriptions"};
    std::string lists, output;
    app.add_option("--lists", lists, "folder that fetch_descriptions.sh has filled")->required();
    app.add_option("--output", output,
                   "folder to write train.jsonl, validation.jsonl and train.txt to")
        ->required();
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return refused(app, error);
    }
    try {
        prepare(lists, output);
        return 0;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 1;
    }
}
