// SPDX-License-Identifier: Apache-2.0
#include <zeropp/core/name_pattern.hpp>

#include "support/catch.hpp"

using namespace zeropp;

TEST_CASE("a star stands for any characters, a question mark for one") {
    CHECK(matches("encoder.*", "encoder.block.0.layer.0.layer_norm.weight"));
    CHECK(matches("*", ""));
    CHECK(matches("*.q.weight", "a.q.weight"));
    CHECK(matches("*block.?.*norm*", "encoder.block.3.layer.1.layer_norm.weight"));
    CHECK(matches("shared.weight", "shared.weight"));
    CHECK(matches("", ""));
    CHECK_FALSE(matches("shared", "shared.weight"));
    CHECK_FALSE(matches("", "a"));
    CHECK_FALSE(matches("?", ""));
    CHECK_FALSE(matches("block.?.", "block.10."));
    CHECK_FALSE(matches("*.weight", "a.weights"));
    CHECK_FALSE(matches("a*b*c", "acb"));
}

TEST_CASE("edits to match count what differs beside the stars") {
    CHECK(edits_to_match("kitten", "sitting") == 3);
    CHECK(edits_to_match("", "abc") == 3);
    CHECK(edits_to_match("abc", "") == 3);
    CHECK(edits_to_match("encoders.*", "encoder.block.0") == 1);
    CHECK(edits_to_match("*.wieght", "shared.weight") == 1);
    CHECK(edits_to_match("stage", "stgae") == 1);
    CHECK(edits_to_match("ab", "ba") == 1);
    CHECK(edits_to_match("abc", "cab") == 2);
}
