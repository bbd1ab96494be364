// SPDX-License-Identifier: Apache-2.0
/// \file Tests of `JsonLine`: what it writes is JSON whatever it is given.
#include <limits>

#include <zeropp/observe/json_line.hpp>

#include "support/catch.hpp"

using zeropp::JsonLine;

TEST_CASE("fields keep their order and numbers their shortest digits", "[json_line]") {
    CHECK(JsonLine{}.field("step", 3).field("lr", 3e-4f).field("loss", 0.1).text() ==
          R"({"step":3,"lr":3e-04,"loss":0.1})");
    CHECK(JsonLine{}.text() == "{}");
    CHECK(JsonLine{}.field("all", std::vector<std::uint64_t>{1, 18446744073709551615u}).text() ==
          R"({"all":[1,18446744073709551615]})");
    CHECK(JsonLine{}.field("none", std::vector<int>{}).field("yes", true).text() ==
          R"({"none":[],"yes":true})");
}

TEST_CASE("a number that is not finite becomes null", "[json_line]") {
    CHECK(JsonLine{}.field("loss", std::numeric_limits<double>::quiet_NaN()).text() ==
          R"({"loss":null})");
    CHECK(JsonLine{}.field("loss", -std::numeric_limits<float>::infinity()).text() ==
          R"({"loss":null})");
}

TEST_CASE("text is escaped", "[json_line]") {
    CHECK(JsonLine{}.field("text", "a \"b\" \\ \n\t\x01 \x7f").text() ==
          R"({"text":"a \"b\" \\ \n\t\u0001 )"
          "\x7f\"}");
    CHECK(JsonLine{}.field("text", "Zürich ▁ 😀").text() == R"({"text":"Zürich ▁ 😀"})");
}

TEST_CASE("bytes that are not UTF-8 become the replacement character", "[json_line]") {
    const std::string mark = "\xEF\xBF\xBD";
    const auto written = [](std::string_view text) { return JsonLine{}.field("t", text).text(); };
    CHECK(written("a\xFFz") == "{\"t\":\"a" + mark + "z\"}");
    CHECK(written("\xC3") == "{\"t\":\"" + mark + "\"}");                        // cut short
    CHECK(written("\xC0\xAF") == "{\"t\":\"" + mark + mark + "\"}");             // overlong
    CHECK(written("\xED\xA0\x80") == "{\"t\":\"" + mark + mark + mark + "\"}");  // surrogate
    CHECK(written("\xF4\x90\x80\x80") == "{\"t\":\"" + mark + mark + mark + mark + "\"}");
}
