// SPDX-License-Identifier: Apache-2.0
/// \file Reading JSONL and CSV: what is understood, and a sentence for everything else.
#include <string>
#include <vector>

#include <zeropp/core/rng.hpp>
#include <zeropp/data/examples.hpp>

#include "support/catch.hpp"
#include "support/temporary.hpp"

namespace zp = zeropp;
using zp::testing::message_of;
using zp::testing::TemporaryFolder;

namespace {

const zp::TextColumns columns{"in", "out"};

std::vector<std::string> read(const std::string& name, const std::string& bytes,
                              const zp::TextColumns& which = columns) {
    const TemporaryFolder folder;
    std::vector<std::string> texts;
    for (const zp::TextExample& example : zp::read_examples(folder.write(name, bytes), which)) {
        texts.push_back(example.source);
        texts.push_back(example.target);
    }
    return texts;
}
std::string refusal(const std::string& name, const std::string& bytes,
                    const zp::TextColumns& which = columns) {
    const TemporaryFolder folder;
    const auto path = folder.write(name, bytes);
    return message_of([&] { zp::read_examples(path, which); }, folder.path());
}
using Texts = std::vector<std::string>;

}  // namespace

TEST_CASE("JSON Lines: other columns, empty lines, a byte order mark and Windows' line ends pass") {
    CHECK(read("a.jsonl",
               "\xEF\xBB\xBF{\"in\": \"a\", \"n\": 3, \"out\": \"b\"}\r\n\r\n"
               "{\"out\": \"\", \"in\": \"\\u00e9\\n\"}") == Texts{"a", "b", "\u00e9\n", ""});
    CHECK(read("a.jsonl", "{\"in\": \"a\"}\n", {"in", ""}) == Texts{"a", ""});
}

TEST_CASE("JSON Lines: what is wrong is named with file, line and column") {
    const std::string good = "{\"in\": \"a\", \"out\": \"b\"}\n";
    CHECK(refusal("a.jsonl", good + "{\"in\": \"a\", \"summary\": \"b\"}\n") ==
          "zeropp: a.jsonl: line 2: has no column 'out', expected one; its columns are 'in', "
          "'summary'");
    CHECK(refusal("a.jsonl", good + "{}\n") ==
          "zeropp: a.jsonl: line 2: has no column 'in', expected one; its columns are none");
    CHECK(refusal("a.jsonl", good + good + "{\"in\": 3, \"out\": \"b\"}\n") ==
          "zeropp: a.jsonl: line 3: column 'in': is number, expected a string");
    CHECK(refusal("a.jsonl", "{\"in\": \"a\", \"out\": null}\n") ==
          "zeropp: a.jsonl: line 1: column 'out': is null, expected a string");
    CHECK(refusal("a.jsonl", good + "[1, 2]\n") ==
          "zeropp: a.jsonl: line 2: is array, expected a JSON object");
    CHECK(refusal("a.jsonl", "\n{\"in\": \"a\", \"out\"\n") ==
          "zeropp: a.jsonl: line 2: column 18: syntax error while parsing object separator - "
          "unexpected end of input; expected ':'");
    CHECK(refusal("a.jsonl", "{\"in\": \"\xC3\x28\", \"out\": \"b\"}\n")
              .starts_with("zeropp: a.jsonl: line 1: column 10: syntax error while parsing value - "
                           "invalid string: ill-formed UTF-8 byte"));
    CHECK(refusal("a.jsonl", "{\"in\": \"\\ud800\", \"out\": \"b\"}\n")
              .starts_with("zeropp: a.jsonl: line 1: column "));
    CHECK(refusal("a.jsonl", "{\"in\": \"a\", \"n\": 1e999, \"out\": \"b\"}\n")
              .starts_with("zeropp: a.jsonl: line 1: number overflow parsing '1e999'"));
    CHECK(refusal("a.jsonl", good + "{\"in\": \"a\", \"in\": \"c\", \"out\": \"b\"}\n") ==
          "zeropp: a.jsonl: line 2: in is given twice, expected once");
    CHECK(refusal("a.jsonl", std::string(100'000, '[')) ==
          "zeropp: a.jsonl: line 1: values are nested deeper than 64, expected less");
    CHECK(refusal("a.jsonl", "") == "zeropp: a.jsonl: is empty, expected at least one example");
    CHECK(refusal("a.jsonl", " \n\n") ==
          "zeropp: a.jsonl: is empty, expected at least one example");
}

TEST_CASE("a file that is not there, or is a folder, is refused") {
    const TemporaryFolder folder;
    CHECK(message_of([&] { zp::read_examples(folder / "none.jsonl", columns); }, folder.path()) ==
          "zeropp: none.jsonl: No such file or directory, expected a file with an example a line");
    std::filesystem::create_directory(folder / "a.csv");
    CHECK(message_of([&] { zp::read_examples(folder / "a.csv", columns); }, folder.path()) ==
          "zeropp: a.csv: is a directory, expected a file with an example a line");
}

TEST_CASE("CSV: quotes, commas and line breaks inside quotes, empty fields, no last line break") {
    CHECK(read("a.csv",
               "\xEF\xBB\xBF"
               "id,out,in\r\n1,b,a\r\n\r\n2,\"x, \"\"y\"\"\nz\",\n3,\"\",q") ==
          Texts{"a", "b", "", "x, \"y\"\nz", "q", ""});
    CHECK(read("a.csv", "in\n\"\"\nb\n", {"in", ""}) == Texts{"", "", "b", ""});
    CHECK(read("a.csv", "in,out\na\"b,c\n") == Texts{"a\"b", "c"});
    CHECK(read("a.csv", "in,out\n\"a\r\nb\",c\n") == Texts{"a\r\nb", "c"});
}

TEST_CASE("CSV: what is wrong is named with file, line and column") {
    CHECK(refusal("a.csv", "in,text\na,b\n") ==
          "zeropp: a.csv: line 1: has no column 'out', expected one; its columns are 'in', 'text'");
    CHECK(refusal("a.csv", "in,out\n\"a\nb\",c\nd\n") ==
          "zeropp: a.csv: line 4: has 1 columns, expected 2 as the first line");
    CHECK(refusal("a.csv", "in,out\na,\"b\nc\n") ==
          "zeropp: a.csv: line 2, column 2: a quote is opened and not closed, expected a closing "
          "quote before the end of the file");
    CHECK(refusal("a.csv", "in,out\n\"a\"b,c\n") ==
          "zeropp: a.csv: line 2, column 1: more follows the closing quote, expected a comma or "
          "the end of the line; a quote inside quotes is written twice");
    CHECK(refusal("a.csv", "in,out\na,b\xff\n") ==
          "zeropp: a.csv: line 2, column 2: is not UTF-8, expected UTF-8");
    CHECK(refusal("a.csv", "in,out\n") == "zeropp: a.csv: is empty, expected at least one example");
    CHECK(refusal("a.csv", "") == "zeropp: a.csv: is empty, expected at least one example");
}

TEST_CASE("UTF-8 is what Unicode says it is") {
    using namespace std::string_literals;
    for (const std::string& good :
         {""s, "a\0b"s, "\u00e9"s, "\ud7ff"s, "\ue000"s, "\uffff"s, "\U00010000"s, "\U0010ffff"s})
        CHECK(zp::first_invalid_utf8(good) == good.size());
    for (const std::string& bad :
         {"\x80"s, "\xc0\x80"s, "\xc1\xbf"s, "\xc3"s, "\xe0\x9f\xbf"s, "\xed\xa0\x80"s, "\xe2\x82"s,
          "\xf0\x8f\xbf\xbf"s, "\xf4\x90\x80\x80"s, "\xf5\x80\x80\x80"s, "\xff"s})
        CHECK(zp::first_invalid_utf8("ok" + bad) == 2);
}

TEST_CASE("any bytes are either read or refused, by an error of ours that names the file") {
    const TemporaryFolder folder;
    const std::string json =
        "{\"in\": \"a \\u00e9 b\", \"out\": \"c\"}\n{\"in\": \"\", \"out\": \"d\"}\n";
    const std::string csv = "in,out\n\"a, \"\"b\"\"\",c\nd,e\n";
    const std::string letters =
        "{}[]\":,\\nu0\n\r \xc3\xa9\xff\x00"
        "a";
    zp::Random random{11};
    int read = 0, refused = 0;
    for (int trial = 0; trial < 4000; ++trial) {
        const bool is_json = trial % 2 == 0;
        std::string bytes = is_json ? json : csv;
        for (std::uint32_t edits = 1 + random.below(4); edits > 0 && !bytes.empty(); --edits) {
            const std::size_t at = random.below(static_cast<std::uint32_t>(bytes.size()));
            const char letter = letters[random.below(static_cast<std::uint32_t>(letters.size()))];
            switch (random.below(4)) {
                case 0:
                    bytes[at] = letter;
                    break;
                case 1:
                    bytes.insert(at, 1, letter);
                    break;
                case 2:
                    bytes.erase(at, 1 + random.below(3));
                    break;
                default:
                    bytes.resize(at);
            }
        }
        const std::string name = is_json ? "fuzz.jsonl" : "fuzz.csv";
        const auto path = folder.write(name, bytes);
        try {
            zp::for_each_example(path, columns, [&](const zp::TextExample& example) {
                if (zp::first_invalid_utf8(example.source) != example.source.size()) FAIL(bytes);
            });
            ++read;
        } catch (const zp::Error& error) {
            ++refused;
            if (std::string{error.what()}.find(name + ": ") == std::string::npos)
                FAIL(error.what());
        }
    }
    CHECK(read > 100);
    CHECK(refused > 1000);
}
