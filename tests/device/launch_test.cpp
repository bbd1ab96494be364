// SPDX-License-Identifier: Apache-2.0
/// \file How many blocks a number of elements takes.
#include <limits>

#include <zeropp/device/launch.hpp>

#include "support/catch.hpp"

using namespace zeropp;

TEST_CASE("a launch has a thread an element, and never more blocks than it may") {
    CHECK(launch_of(0).blocks == 0);
    CHECK(launch_of(1).blocks == 1);
    CHECK(launch_of(256).blocks == 1);
    CHECK(launch_of(257).blocks == 2);
    CHECK(launch_of(1000, 128).blocks == 8);
    CHECK(launch_of(1000, 128).threads == 128);
    CHECK(launch_of(std::size_t{1} << 40).blocks == 1u << 16);
    CHECK(launch_of(std::numeric_limits<std::size_t>::max(), 256, 100).blocks == 100);
}
