// SPDX-License-Identifier: Apache-2.0
#include <zeropp/zero/layout.hpp>

#include "support/catch.hpp"
#include "support/temporary.hpp"

using namespace zeropp;

namespace {

std::vector<Unit> some_units() {
    return {{"shared", {{"s", {10, 3}}}, true},
            {"a", {{"a.w", {7}}, {"a.b", {1}, false}, {"a.c", {65}}}},
            {"b", {{"b.w", {500}}}},
            {"frozen", {{"f", {40}, false}}},
            {"c", {{"c.w", {33}}}}};
}

constexpr Topology two_ranks{.shard = 2};

}  // namespace

TEST_CASE("shards tile every bucket in rank order and segments do not overlap") {
    for (const std::size_t ranks : {1, 2, 3, 5, 8})
        for (const std::size_t bucket_size : {1, 200, 100'000}) {
            const Layout layout{some_units(), {.shard = ranks}, bucket_size};
            std::size_t parameters = 0, full = 0, next_unit = 0;
            for (const Bucket& bucket : layout.buckets()) {
                CHECK(bucket.active == bucket.shard * ranks);
                CHECK(bucket.padded == (bucket.shard + bucket.frozen_shard) * ranks);
                CHECK((bucket.shard + bucket.frozen_shard) % Layout::shard_alignment == 0);
                CHECK(bucket.padded - bucket.used < ranks * Layout::shard_alignment);
                CHECK(bucket.full_offset == full);
                CHECK(bucket.first_unit == next_unit);
                full += bucket.padded;
                next_unit += bucket.unit_count;
                std::size_t at = 0;
                for (const Segment& segment : bucket.segments) {
                    CHECK(segment.first >= at);
                    CHECK(segment.first % parameter_alignment == 0);
                    at = segment.first + segment.size;
                    parameters += segment.size;
                }
                CHECK(at <= bucket.used);
            }
            CHECK(full == layout.full_size());
            CHECK(next_unit == some_units().size());
            std::size_t of_units = 0;
            for (const Unit& unit : some_units())
                for (const Parameter& parameter : unit.parameters) of_units += parameter.size();
            CHECK(parameters == of_units);
        }
}

TEST_CASE("small units share a bucket, but never a resident or a frozen one with others") {
    const Layout layout{some_units(), two_ranks, 100'000};
    REQUIRE(layout.buckets().size() == 4);  // shared | a, b | frozen | c
    CHECK(layout.buckets()[0].resident);
    CHECK(layout.buckets()[1].unit_count == 2);
    CHECK_FALSE(layout.buckets()[2].trainable);
    CHECK(layout.bucket_of(2) == 1);
    CHECK(layout.offset_in_bucket(2) == 3 * parameter_alignment);
}

TEST_CASE("a new bucket begins where trained units follow frozen ones, and the other way round") {
    std::vector<Unit> units;
    std::size_t trained = 0;
    for (const char* const name : {"a", "b", "c", "d", "e", "f", "g"}) {
        const bool frozen = std::string_view{"bcf"}.find(name) != std::string_view::npos;
        units.push_back({name, {{name, {300}, !frozen}}});
        trained += frozen ? 0 : unit_size(units.back());
    }
    const Layout layout{units, two_ranks, 100'000};
    REQUIRE(layout.buckets().size() == 5);  // a | b, c | d, e | f | g
    std::size_t in_trained = 0;
    for (const Bucket& bucket : layout.buckets()) {
        for (const Segment& segment : bucket.segments) CHECK(segment.trainable == bucket.trainable);
        in_trained += bucket.trainable ? bucket.used : 0;
    }
    CHECK(in_trained == trained);
}

TEST_CASE("what is frozen at a unit's end is neither reduced nor updated") {
    const std::vector<Unit> units{
        {"a", {{"a.w", {300}}}},
        {"b", {{"b.w", {200}}, {"b.x", {1000}, false}}},
        {"c", {{"c.x", {10}, false}, {"c.w", {10}}}},
        {"d", {{"d.w", {5}}, {"d.x", {5}, false}, {"d.y", {5}, false}}, false, false, 2}};
    const Layout layout{units, two_ranks, 100'000};
    REQUIRE(layout.buckets().size() == 2);  // a, b | c, d
    const Bucket& ab = layout.buckets()[0];
    CHECK(ab.active == 768);  // a's 384, b.w's 256, to a multiple of 2 * 128
    CHECK(ab.shard == 384);
    CHECK(ab.frozen_shard == 512);  // of 384 + 256 + 1024 - 768
    CHECK(ab.padded == 768 + 2 * 512);
    CHECK(ab.first_of_frozen_shard(1) == 768 + 512);
    CHECK(layout.size_of_unit(1) == 256 + 1024);
    CHECK(layout.gradient_size_of_unit(1) == 256);
    CHECK(layout.gradient_size_of_unit(2) == 256);  // frozen, but before c.w
    CHECK(layout.gradient_size_of_unit(3) == 256);  // d.x has one with d.w
    std::size_t behind = ab.padded;
    for_each_gap(ab, [&](std::size_t first, std::size_t count) { behind = first + count; });
    CHECK(behind == ab.active);
}

TEST_CASE("trainable runs and gaps divide a bucket") {
    const Layout layout{some_units(), two_ranks, 1};
    const Bucket& a =
        layout.buckets()[1];  // a.w at 0..7, a.b (frozen) at 128, a.c at 256..321, padded to 512
    std::vector<std::pair<std::size_t, std::size_t>> runs, gaps;
    const auto add = [&](std::size_t first, std::size_t count, int) {
        runs.emplace_back(first, count);
    };
    for_each_trainable_run(a, 0, a.padded, add);
    CHECK(runs ==
          std::vector<std::pair<std::size_t, std::size_t>>{{0, 128}, {256, a.padded - 256}});
    for_each_gap(a, [&](std::size_t first, std::size_t count) { gaps.emplace_back(first, count); });
    CHECK(gaps ==
          std::vector<std::pair<std::size_t, std::size_t>>{{7, 249}, {321, a.padded - 321}});
    runs.clear();
    for_each_trainable_run(a, 100, 300, add);
    CHECK(runs == std::vector<std::pair<std::size_t, std::size_t>>{{100, 28}, {256, 44}});
}

TEST_CASE("a parameter without elements is refused by name") {
    CHECK_THROWS_WITH((Layout{{{"u", {{"u.empty", {3, 0}}}}}, two_ranks, 1}),
                      "zeropp: Layout: parameter 'u.empty' has no elements, expected at least one");
    CHECK_THROWS_WITH((Layout{{}, two_ranks, 1}),
                      "zeropp: Layout: the model has no units, expected at least one");
}

TEST_CASE("a bucket is forward only where all of its units are, which nothing to train is") {
    const Unit trained{"t", {{"t", {9}}}};
    const Unit frozen{"f", {{"f", {9}, false}}};
    Unit first{.name = "g", .parameters = {{"g", {9}, false}}, .forward_only = true};
    const auto forward_only = [](const std::vector<Unit>& units, std::size_t bucket_size) {
        std::vector<bool> all;
        const Layout layout{units, two_ranks, bucket_size};
        for (const Bucket& bucket : layout.buckets()) all.push_back(bucket.forward_only);
        return all;
    };
    CHECK(forward_only({first, frozen, trained}, 1) == std::vector{true, false, false});
    CHECK(forward_only({first, frozen, trained}, 1000) == std::vector{false, false});
    CHECK(forward_only({first, trained, frozen}, 1000) == std::vector{true, false, false});
    first.parameters.push_back({"g.bias", {9}});
    CHECK_THROWS_WITH((Layout{{first}, two_ranks, 1}),
                      "zeropp: Layout: unit 'g' is forward only and has a parameter to train, "
                      "expected all of it frozen");
}

TEST_CASE("two parameters of one name are refused") {
    CHECK_THROWS_WITH((Layout{{{"u", {{"w", {3}}}}, {"v", {{"w", {2}}}}}, two_ranks, 1}),
                      "zeropp: Layout: two parameters are called 'w', expected names that differ");
}

TEST_CASE("placements and groups of ranks that this version does not know are refused") {
    const auto refusal = [](const Parameter& parameter, const Topology& topology) {
        return testing::message_of([&] { Layout{{{"u", {parameter}}}, topology, 1}; });
    };
    CHECK(refusal({.name = "w", .shape = {3, 2}, .tensor_axis = 2}, two_ranks) ==
          "zeropp: Layout: parameter 'w' is divided along axis 2, expected less than 2");
    CHECK(refusal({.name = "w", .shape = {3, 2}}, {.shard = 2, .tensor = 2}) ==
          "zeropp: Layout: the groups are 2 shard, 1 replica, 2 tensor and 1 pipeline, expected 1 "
          "of all but shard");
    // A tensor group of one divides nothing.
    const Layout layout{{{"u", {{.name = "w", .shape = {3, 2}, .tensor_axis = 1}}}}, two_ranks, 1};
    CHECK(layout.topology().shard == 2);
}
