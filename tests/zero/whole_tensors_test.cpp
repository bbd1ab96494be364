// SPDX-License-Identifier: Apache-2.0
/// \file Where the sums of whole tensors stand, and that a step does not count them anew.
#include <memory>
#include <string>
#include <vector>

#include <zeropp/comm/self.hpp>
#include <zeropp/trainer.hpp>

#include "support/catch.hpp"

using namespace zeropp;

namespace {

/// Two rounds: of a tensor's columns and its rows, then of one number. `asked`: for how many sums.
class Counting final : public Rule {
public:
    explicit Counting(std::size_t* asked) : asked_{asked} {}
    std::string_view name() const override { return "counting"; }
    std::span<const Slot> slots() const override { return {}; }
    Rates rates() const override { return {}; }
    std::size_t kept(const Tensor2d& tensor) const override { return tensor.columns; }
    std::size_t rounds() const override { return 2; }
    std::size_t sums(std::size_t round, const Tensor2d& tensor) const override {
        ++*asked_;
        return round == 0 ? tensor.columns + tensor.rows : 1;
    }
    void begin(StepContext) override {}
    void measure(std::size_t round, const Tensor2d& tensor, const TensorPiece& piece,
                 std::span<double> sums) const override {
        if (sums.size() != (round == 0 ? tensor.columns + tensor.rows : 1))
            fail(Errc::config, "a part of another size");
        for (std::size_t i = 0; i < piece.count; ++i) sums[0] += piece.gradients[i];
    }
    void update(const Tensor2d& tensor, const TensorPiece& piece) const override {
        const std::size_t second = tensor.columns + tensor.rows;
        for (std::size_t i = 0; i < piece.count; ++i)
            piece.parameters[i] = static_cast<float>(tensor.sums[0] + 1000 * tensor.sums[second]);
    }

private:
    std::size_t* asked_;
};
struct CountingOptimizer {
    std::size_t* asked;
    std::unique_ptr<Rule> make_rule(const GroupRates&) const {
        return std::make_unique<Counting>(asked);
    }
};

std::vector<Unit> some_units() {
    return {{"a", {{"a.0", {3, 5}}, {"a.1", {7}, false}, {"a.2", {2, 2, 4}}}},
            {"b", {{"b.0", {9}, false}}},
            {"c", {{"c.0", {6}}}}};
}

}  // namespace

TEST_CASE("each tensor's sums follow those of the trainable one before it") {
    std::size_t asked = 0;
    const Counting rule{&asked};
    const std::vector<Unit> units = some_units();
    const Layout layout{units, Topology{.shard = 1}, 1};
    const OptimizerPlan plan{rule, layout, units, {}};
    WholeTensors tensors{layout, units, rule, plan.tensor_bytes};
    CHECK(tensors.bytes_used() == plan.tensor_bytes);
    REQUIRE((tensors.sums_of(0) == plan.rounds[0] && tensors.sums_of(1) == plan.rounds[1]));
    const std::size_t sizes[] = {5 + 3, 4 + 4, 6 + 0};
    std::vector<double> sums[2][2];  // by round and rank
    for (std::size_t round = 0; round < 2; ++round)
        for (auto& of_rank : sums[round])
            for (std::size_t i = 0; i < tensors.sums_of(round); ++i)
                of_rank.push_back(static_cast<double>(100 * round + i));
    std::size_t first = 0;
    asked = 0;
    for (std::size_t t = 0; t < 3; ++t) {
        CAPTURE(t);
        CHECK(tensors.part(0, t, std::span{sums[0][0]}).size() == sizes[t]);
        CHECK(tensors.part(0, t, std::span{sums[0][0]}).data() == sums[0][0].data() + first);
        CHECK(tensors.part(1, t, std::span{sums[1][0]}).data() == sums[1][0].data() + t);
        for (std::size_t round = 0; round < 2; ++round)
            tensors.total(round, t, 2, [&](int rank) { return sums[round][rank]; });
        REQUIRE(tensors[t].sums.size() == sizes[t] + 1);
        for (std::size_t i = 0; i < sizes[t]; ++i)
            CHECK(tensors[t].sums[i] == 2 * static_cast<double>(first + i));
        CHECK(tensors[t].sums[sizes[t]] == 2 * static_cast<double>(100 + t));
        first += sizes[t];
    }
    CHECK(asked == 0);
}

TEST_CASE("a step asks no tensor how many sums it has") {
    std::size_t asked = 0;
    std::vector<std::vector<float>> values, slopes;
    std::vector<Spans::Array> arrays;
    constexpr std::size_t count = 40;
    for (std::size_t t = 0; t < count; ++t) {
        values.emplace_back(t + 1);
        slopes.emplace_back(t + 1, static_cast<float>(t));
    }
    for (std::size_t t = 0; t < count; ++t)
        arrays.push_back({std::to_string(t), values[t], slopes[t]});
    Spans model{arrays};
    SelfComm comm;
    Trainer trainer{model, comm, zero<1>, CountingOptimizer{&asked}, ClipNorm{0}, Buckets{1000}};
    CHECK(asked > 0);
    asked = 0;
    trainer.step();
    CHECK(asked == 0);
    for (std::size_t t = 0; t < count; ++t)
        CHECK(values[t][0] == static_cast<float>(1001 * t * (t + 1)));
}
