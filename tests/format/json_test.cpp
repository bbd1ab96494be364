#include <string>

#include <zeropp/format/json.hpp>

#include "support/catch.hpp"
#include "support/temporary.hpp"

namespace zp = zeropp;
using zp::testing::message_of;

namespace {

std::string refusal(const std::string& text) {
    return message_of([&] { zp::parse_json(text, "x.json"); });
}

}  // namespace

TEST_CASE("broken JSON is refused with file and place") {
    CHECK(refusal("{\"a\": 1, }") ==
          "zeropp: x.json: column 10: syntax error while parsing object key - unexpected '}'; "
          "expected string literal");
    CHECK(refusal("{\n  \"a\":\n}\n") ==
          "zeropp: x.json: line 3, column 1: syntax error while parsing value - unexpected '}'; "
          "expected '[', '{', or a literal");
    CHECK(refusal("[1e999]") == "zeropp: x.json: number overflow parsing '1e999', expected JSON");
    CHECK(refusal(" \n") == "zeropp: x.json: is empty, expected JSON");
    CHECK(refusal("{\"a\": \"\xff\"}").find("x.json: column 8: ") != std::string::npos);
    CHECK(refusal("\"" + std::string(1'000'000, 'x')) ==
          "zeropp: x.json: column 1000002: syntax error while parsing value - invalid string: "
          "missing closing quote; last read: '\"" +
              std::string(47, 'x') + "..., expected JSON");
    CHECK(refusal("{} {}").find("expected end of input") != std::string::npos);
}

TEST_CASE("a key given twice in one object is refused by its path, in two objects it is fine") {
    CHECK(refusal("{\"a\": 1, \"b\": {\"c\": [{\"d\": 1, \"d\": 2}]}}") ==
          "zeropp: x.json: b.c.d is given twice, expected once");
    CHECK(refusal("[{\"a\": 1}, {\"a\": 2, \"b\": {\"a\": 3}}]").empty());
}

TEST_CASE("values nested without end are refused before the stack is gone") {
    CHECK(refusal(std::string(1'000'000, '[')) ==
          "zeropp: x.json: values are nested deeper than 64, expected less");
}

TEST_CASE("a file that is missing or a directory is refused by name") {
    const zp::testing::TemporaryFolder folder;
    CHECK(message_of([&] { zp::read_json(folder / "none"); }, folder.path()) ==
          "zeropp: none: No such file or directory, expected a readable file");
    CHECK(message_of([&] { zp::read_json(folder.path()); }) ==
          "zeropp: " + folder.path().string() + ": is a directory, expected a readable file");
    folder.write("one.json", "{\"a\": [1, 2.5, \"\\u00e9\"]}");
    CHECK(zp::read_json(folder / "one.json")["a"][2] == "\xc3\xa9");
}
