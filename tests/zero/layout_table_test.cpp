// SPDX-License-Identifier: Apache-2.0
#include <zeropp/zero/layout_table.hpp>

#include "support/catch.hpp"

using namespace zeropp;

TEST_CASE("a layout as text has a line a bucket and the sums") {
    const std::vector<Unit> units{{"shared", {{"s", {10, 3}}}, true},
                                  {"a", {{"a.w", {7}}, {"a.c", {65}}}},
                                  {"b", {{"b.w", {500}}}},
                                  {"frozen", {{"f", {40}, false}}}};
    CHECK(
        layout_table(Layout{units, {.shard = 2}, 1000}, units) ==
        "  bucket   0:         128 elements in   1 tensors, shards of         128, resident: "
        "shared\n"
        "  bucket   1:         768 elements in   3 tensors, shards of         384: a .. b\n"
        "  bucket   2:         128 elements in   1 tensors, shards of         128, frozen: frozen\n"
        "  all: 1280 elements with padding, 640 of each of 2 ranks\n");
}
