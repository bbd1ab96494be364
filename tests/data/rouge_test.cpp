// SPDX-License-Identifier: Apache-2.0
/// \file ROUGE against the package rouge_score.
#include <string>
#include <vector>

#include <zeropp/data/rouge.hpp>

#include "data/golden.hpp"
#include "support/catch.hpp"
#include "support/temporary.hpp"

namespace zp = zeropp;

TEST_CASE("ROUGE is that of rouge_score") {
    const auto objects = zp::testing::golden_objects("rouge.jsonl");
    REQUIRE(objects.size() > 100);
    std::vector<std::string> predictions, references;
    double sum = 0;
    for (const auto& object : objects) {
        INFO(object.dump());
        predictions.push_back(object["prediction"].get<std::string>());
        references.push_back(object["reference"].get<std::string>());
        const zp::Rouge one = zp::rouge(predictions.back(), references.back());
        // The same divisions of the same whole numbers; the last bit may differ by their order.
        CHECK(one.rouge1 == Approx(object["rouge1"].get<double>()).epsilon(1e-14));
        CHECK(one.rouge2 == Approx(object["rouge2"].get<double>()).epsilon(1e-14));
        CHECK(one.rouge_l == Approx(object["rouge_l"].get<double>()).epsilon(1e-14));
        sum += object["rouge2"].get<double>();
    }
    CHECK(zp::rouge(predictions, references).rouge2 ==
          Approx(sum / static_cast<double>(objects.size())).epsilon(1e-12));
}

TEST_CASE("as many predictions as references are expected") {
    const std::vector<std::string> two{"a", "b"}, one{"a"};
    CHECK(zp::testing::message_of([&] { zp::rouge(two, one); }) ==
          "zeropp: rouge: 2 predictions of 1 references, expected one of each of at least one");
}

TEST_CASE("the trivial summary is the first words") {
    CHECK(zp::first_words(" one  two\tthree\nfour ", 3) == "one two three");
    CHECK(zp::first_words("one two", 3) == "one two");
    CHECK(zp::first_words("  ", 3).empty());
}
