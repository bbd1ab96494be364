// SPDX-License-Identifier: Apache-2.0
/// \file Elastic batches and batch sizes against DeepSpeed's own.
#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include <zeropp/format/json.hpp>
#include <zeropp/io/dispatch.hpp>
#include <zeropp/io/elasticity.hpp>

#include "support/catch.hpp"
#include "support/golden.hpp"

namespace zp = zeropp;

namespace {

zp::Json golden(const char* part) {
    return zp::read_json(zp::testing::golden("io/batches.json"))[part];
}

zp::BatchSizes sizes(const zp::Json& file, int ranks) {
    return zp::batch_sizes(zp::parse_config(file.dump(), "f"), ranks);
}
zp::BatchSizes elastic(zp::Json block, int ranks) {
    block["enabled"] = true;
    return sizes({{"elasticity", std::move(block)}}, ranks);
}

/// Without "zeropp: f: ".
template <class Call>
std::string refusal(Call call) {
    try {
        call();
    } catch (const zp::Error& error) {
        const std::string what = error.what();
        return what.starts_with("zeropp: f: ") ? what.substr(11) : what;
    }
    return "accepted";
}

}  // namespace

TEST_CASE("the batch that divides among most ranks is DeepSpeed's", "[elasticity]") {
    const zp::Json cases = golden("chosen");
    REQUIRE(cases.size() >= 10);
    for (const zp::Json& given : cases) {
        INFO(given);
        const zp::ElasticBatch batch =
            zp::elastic_batch(given["micro"], given["largest"], given["least_ranks"],
                              given["most_ranks"], given["prefer_larger"]);
        CHECK(batch.train == given["train"]);
        CHECK(batch.ranks == given["ranks"].get<std::vector<std::int64_t>>());
    }
}

TEST_CASE("a file's elasticity gives DeepSpeed's batch and micro-batch, or both refuse it",
          "[elasticity]") {
    const zp::Json cases = golden("elastic");
    REQUIRE(cases.size() >= 50);
    for (const zp::Json& given : cases) {
        INFO(given);
        const int ranks = given["ranks"];
        if (given["gives"].contains("refused")) {
            CHECK_THROWS_AS(elastic(given["elasticity"], ranks), zp::Error);
            continue;
        }
        const zp::BatchSizes batch = elastic(given["elasticity"], ranks);
        CHECK(batch.train == given["gives"]["train"]);
        CHECK(batch.micro == given["gives"]["micro"]);
        CHECK(batch.micro * batch.accumulation * ranks == batch.train);
    }
}

TEST_CASE("batch sizes are resolved as DeepSpeed resolves them, or both refuse them",
          "[elasticity]") {
    for (const zp::Json& given : golden("sizes")) {
        INFO(given);
        const zp::Json file = {{"train_batch_size", given["given"][0]},
                               {"train_micro_batch_size_per_gpu", given["given"][1]},
                               {"gradient_accumulation_steps", given["given"][2]}};
        const int ranks = given["ranks"];
        if (given["gives"].is_object()) {
            CHECK_THROWS_AS(sizes(file, ranks), zp::Error);
            continue;
        }
        const zp::BatchSizes batch = sizes(file, ranks);
        CHECK(zp::Json{batch.train, batch.micro, batch.accumulation} == given["gives"]);
    }
}

TEST_CASE("what elasticity refuses, it names", "[elasticity]") {
    const auto said = [](const char* block, int ranks = 2) {
        return refusal([&] { elastic(zp::Json::parse(block), ranks); });
    };
    CHECK(said(R"({"micro_batch_sizes": [4]})") ==
          "elasticity.max_train_batch_size is missing, expected 1 to 1000000000");
    CHECK(said(R"({"max_train_batch_size": 8})") ==
          "elasticity.micro_batch_sizes is missing, expected a list of integers");
    CHECK(said(R"({"max_train_batch_size": 8, "micro_batch_sizes": []})") ==
          "elasticity.micro_batch_sizes is [], expected a list of 1 to 64 integers from 1 to "
          "1000000");
    CHECK(said(R"({"max_train_batch_size": 8, "micro_batch_sizes": [0]})") ==
          "elasticity.micro_batch_sizes is [0], expected a list of 1 to 64 integers from 1 to "
          "1000000");
    CHECK(said(R"({"max_train_batch_size": 8, "micro_batch_sizes": [2.5]})") ==
          "elasticity.micro_batch_sizes is [2.5], expected a list of 1 to 64 integers from 1 to "
          "1000000");
    CHECK(said(R"({"max_train_batch_size": 8, "micro_batch_sizes": [4, 16]})") ==
          "elasticity.micro_batch_sizes has 16, expected at most 8, max_train_batch_size");
    CHECK(said(R"({"max_train_batch_size": 8, "micro_batch_sizes": [4],
                   "num_gpus_per_node": 4})") ==
          "elasticity.micro_batch_sizes has 4, expected at most 2, max_train_batch_size / "
          "num_gpus_per_node");
    CHECK(said(R"({"max_train_batch_size": 8, "micro_batch_sizes": [4],
                   "num_gpus_per_node": 16})") ==
          "elasticity.max_train_batch_size is 8, expected at least num_gpus_per_node, which is 16");
    CHECK(said(R"({"max_train_batch_size": 8, "micro_batch_sizes": [4], "min_gpus": 3,
                   "max_gpus": 2})") ==
          "elasticity.min_gpus is 3, expected at most max_gpus, which is 2");
    CHECK(said(R"({"max_train_batch_size": 8, "micro_batch_sizes": [4], "version": 0.3})") ==
          "elasticity.version is 0.3, expected 0.1 or 0.2");
    CHECK(said(R"({"max_train_batch_size": 2000, "micro_batch_sizes": [2, 4, 6],
                   "version": 0.1})",
               9) ==
          "elasticity gives batches of 1680 on 9 ranks, expected one of 1, 2, 3, 4, 5, 6, 7, 8, "
          "10, 12, 14, 15 ... ranks");
    CHECK(said(R"({"max_train_batch_size": 8, "micro_batch_sizes": [4], "min_gpus": 5,
                   "version": 0.1})",
               1) ==
          "elasticity gives batches of 8 on 1 rank, expected none of them: no number of ranks from "
          "5 to 10000 divides it");
    CHECK(said(R"({"max_train_batch_size": 8, "micro_batch_sizes": [4, 6]})", 4) ==
          "elasticity gives no batch on 4 ranks, expected one micro-batch a rank to be at most "
          "max_train_batch_size, which is 8");
    CHECK(said(R"({"max_train_batch_size": 8, "micro_batch_sizes": [4],
                   "model_parallel_size": 2})") == "accepted");  // require_supported refuses it
}

TEST_CASE("batch keys beside elasticity are refused, or not read", "[elasticity]") {
    zp::Json file = {
        {"train_batch_size", 7},
        {"elasticity",
         {{"enabled", true}, {"max_train_batch_size", 8}, {"micro_batch_sizes", {2}}}}};
    CHECK(refusal([&] { sizes(file, 2); }) ==
          "train_batch_size is 7, expected none: elasticity.enabled is true and decides it; or set "
          "elasticity.ignore_non_elastic_batch_info");
    file["elasticity"]["ignore_non_elastic_batch_info"] = true;
    CHECK(sizes(file, 2).train == 8);
    file["elasticity"]["enabled"] = false;
    CHECK(sizes({{"train_batch_size", 6}, {"elasticity", file["elasticity"]}}, 2).train == 6);
}

TEST_CASE("the greatest numbers are resolved at once, greater ones are refused", "[elasticity]") {
    CHECK(refusal([] {
              elastic({{"max_train_batch_size", 1e12}, {"micro_batch_sizes", {1}}}, 2);
          }) == "elasticity.max_train_batch_size is 1000000000000.0, expected 1 to 1000000000");
    CHECK(refusal([] {
              elastic({{"max_train_batch_size", 8}, {"micro_batch_sizes", std::vector<int>(65, 1)}},
                      2);
          }).ends_with("..., expected a list of 1 to 64 integers from 1 to 1000000"));
    CHECK_THROWS_WITH(zp::elastic_batch({1}, 0, 1, 1),
                      "zeropp: elastic_batch: the largest batch is 0, expected 1 to 1000000000");
    CHECK_THROWS_WITH(zp::elastic_batch({9}, 8, 1, 1),
                      "zeropp: elastic_batch: a micro-batch is 9, expected 1 to 8");
    std::vector<int> micro;
    for (int i = 0; i < 64; ++i) micro.push_back(1'000'000 - 17 * i);
    const auto start = std::chrono::steady_clock::now();
    const zp::BatchSizes batch = elastic({{"max_train_batch_size", 1'000'000'000},
                                          {"micro_batch_sizes", micro},
                                          {"max_gpus", 1'000'000}},
                                         2);
    CHECK(batch.train <= 1'000'000'000);
    CHECK(batch.micro * batch.accumulation * 2 == batch.train);
    // It takes milliseconds; a minute is what a machine that is busy with other things never needs.
    CHECK(std::chrono::steady_clock::now() - start < std::chrono::minutes{1});
}
