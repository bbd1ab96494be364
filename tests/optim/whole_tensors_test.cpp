// SPDX-License-Identifier: Apache-2.0
/// \file Optimizers that look at whole tensors, against tests/golden/whole_tensors.py, in pieces as
/// of several ranks.
#include <algorithm>
#include <cmath>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include <zeropp/core/rng.hpp>
#include <zeropp/optim/adafactor.hpp>
#include <zeropp/optim/lamb.hpp>

#include "support/catch.hpp"
#include "support/golden.hpp"

using namespace zeropp;

namespace {

/// A tensor in `ranks` shards, each in pieces of at most `most` elements: what an engine does.
class Sharded {
public:
    Sharded(const AnyOptimizer& optimizer, Tensor2d tensor, std::vector<float> start,
            std::size_t ranks, std::size_t most = 4)
        : rule_{optimizer.make_rule({})},
          tensor_{tensor},
          values_{std::move(start)},
          kept_(rule_->kept(tensor)),
          slots_(rule_->slots().size(), std::vector<float>(values_.size())),
          ranks_{ranks},
          most_{most} {
        tensor_.kept = kept_;
    }

    void step(std::int64_t index, const std::vector<float>& gradients) {
        rule_->begin({.index = index, .rates = rule_->rates()});
        std::vector<double> sums;
        for (std::size_t round = 0; round < rule_->rounds(); ++round) {
            std::vector<double> total(rule_->sums(round, tensor_));
            for (std::size_t rank = 0; rank < ranks_; ++rank) {
                std::vector<double> part(total.size());
                pieces(rank, gradients, [&](const TensorPiece& piece) {
                    rule_->measure(round, tensor_, piece, part);
                });
                for (std::size_t k = 0; k < part.size(); ++k) total[k] += part[k];
            }
            sums.insert(sums.end(), total.begin(), total.end());
            tensor_.sums = sums;
            rule_->combine(round, tensor_);
        }
        for (std::size_t rank = 0; rank < ranks_; ++rank)
            pieces(rank, gradients,
                   [&](const TensorPiece& piece) { rule_->update(tensor_, piece); });
    }
    const std::vector<float>& values() const { return values_; }

private:
    template <class Visit>
    void pieces(std::size_t rank, const std::vector<float>& gradients, const Visit& visit) {
        const std::size_t size = values_.size(), end = size * (rank + 1) / ranks_;
        for (std::size_t at = size * rank / ranks_; at < end; at += most_) {
            TensorPiece piece{.first = at,
                              .count = std::min(most_, end - at),
                              .parameters = values_.data() + at,
                              .gradients = gradients.data() + at};
            for (std::size_t s = 0; s < slots_.size(); ++s) piece.slots[s] = slots_[s].data() + at;
            visit(piece);
        }
    }

    std::unique_ptr<Rule> rule_;
    Tensor2d tensor_;
    std::vector<float> values_, kept_;
    std::vector<std::vector<float>> slots_;
    std::size_t ranks_, most_;
};

void follows(const char* name, const AnyOptimizer& optimizer) {
    static const nlohmann::json data = [] {
        std::ifstream file{testing::golden("optim/whole_tensors.json")};
        return nlohmann::json::parse(file);
    }();
    optimizer.check();
    const auto shown = data["shown"].get<std::vector<std::int64_t>>();
    for (const char* which : {"vector", "matrix", "zero"}) {
        const nlohmann::json& given = data["tensors"][which];
        const auto shape = given["shape"].get<std::vector<std::size_t>>();
        const Tensor2d tensor{.rows = shape.size() == 2 ? shape[0] : 0, .columns = shape.back()};
        for (const std::size_t ranks : {1, 3}) {
            Sharded sharded{optimizer, tensor, given["start"].get<std::vector<float>>(), ranks};
            std::size_t next = 0;
            for (std::int64_t step = 1; next < shown.size(); ++step) {
                sharded.step(step, given["gradients"][static_cast<std::size_t>(step) - 1]
                                       .get<std::vector<float>>());
                if (step != shown[next]) continue;
                const auto expected = data["after"][name][which][next++].get<std::vector<float>>();
                for (std::size_t i = 0; i < expected.size(); ++i) {
                    INFO(name << ", " << which << ", " << ranks << " ranks, step " << step
                              << ", element " << i);
                    // a few roundings of fp32 a step, of values up to 1
                    CHECK(sharded.values()[i] == Approx(expected[i]).epsilon(2e-6).margin(4e-7));
                }
            }
        }
    }
}

template <class O>
std::string refusal(const O& optimizer) {
    try {
        optimizer.check();
    } catch (const Error& error) {
        CHECK(error.code() == Errc::config);
        return error.what();
    }
    return "";
}

}  // namespace

TEST_CASE("Lamb takes the steps of DeepSpeed's formula, whoever has which part of a tensor") {
    follows("lamb", Lamb{.lr = 1e-2f});
    follows("lamb_decayed", Lamb{.lr = 2e-2f, .beta1 = 0.8f, .beta2 = 0.99, .weight_decay = 0.1f});
    follows("lamb_inside", Lamb{.lr = 1e-2f,
                                .eps = 1e-4f,
                                .weight_decay = 0.01f,
                                .bias_correction = false,
                                .eps_inside_sqrt = true});
    follows("lamb_narrow", Lamb{.lr = 1e-2f, .max_coeff = 0.3f, .min_coeff = 0.2f});
}

TEST_CASE("Adafactor takes transformers' steps, whoever has which part of a tensor") {
    follows("adafactor", Adafactor{});
    follows("adafactor_warm", Adafactor{.clip_threshold = 0.5f, .warmup_init = true});
    follows("adafactor_t5",
            Adafactor{.lr = 1e-2f, .scale_parameter = false, .relative_step = false});
    follows("adafactor_decayed", Adafactor{.lr = 3e-2f,
                                           .eps = 1e-8f,
                                           .eps_scale = 1e-2f,
                                           .decay_rate = -0.6f,
                                           .weight_decay = 0.1f,
                                           .relative_step = false});
    follows("adafactor_momentum", Adafactor{.lr = 1e-2f,
                                            .beta1 = 0.9f,
                                            .weight_decay = 0.01f,
                                            .scale_parameter = false,
                                            .relative_step = false});
}

TEST_CASE("long rows and short pieces are the same tensor") {
    const Tensor2d tensor{.rows = 37, .columns = 301};
    for (const AnyOptimizer& optimizer :
         {AnyOptimizer{Adafactor{.beta1 = 0.9f}}, AnyOptimizer{Lamb{.weight_decay = 0.1f}}}) {
        std::vector<float> start(tensor.size()), gradients(tensor.size());
        for (std::size_t i = 0; i < start.size(); ++i) start[i] = normal_at(5, 0, i);
        Sharded one{optimizer, tensor, start, 1, 512}, four{optimizer, tensor, start, 4, 100};
        for (std::int64_t step = 1; step <= 5; ++step) {
            for (std::size_t i = 0; i < start.size(); ++i)
                gradients[i] = normal_at(6, static_cast<std::uint64_t>(step), i) *
                               static_cast<float>(1 + i % 301);
            one.step(step, gradients);
            four.step(step, gradients);
        }
        double furthest = 0, moved = 0;
        for (std::size_t i = 0; i < start.size(); ++i) {
            furthest = std::max<double>(furthest, std::abs(one.values()[i] - four.values()[i]));
            moved = std::max<double>(moved, std::abs(one.values()[i] - start[i]));
        }
        CHECK(moved > 1e-3);
        CHECK(furthest < 1e-6);  // sums of doubles in another order, seen through roundings to fp32
    }
}

TEST_CASE("Adafactor's memory of a matrix is a row and a column") {
    const auto rule = make_rule(Adafactor{});
    CHECK(rule->slots().empty());
    CHECK(rule->kept({.rows = 512, .columns = 2048}) == 512 + 2048 + 1);
    CHECK(rule->kept({.columns = 512}) == 512);
    CHECK(make_rule(Adafactor{.beta1 = 0.9f})->slots().size() == 1);
}

TEST_CASE("values of Lamb and Adafactor that mean nothing are refused") {
    CHECK(refusal(Lamb{.lr = -1}) == "zeropp: Lamb: lr is -1, expected 0 or more");
    CHECK(refusal(Lamb{.max_coeff = 0.5f, .min_coeff = 1}) ==
          "zeropp: Lamb: max_coeff is 0.5, expected at least min_coeff, which is 1");
    CHECK(refusal(Adafactor{.lr = 0.1f}) ==
          "zeropp: Adafactor: lr is 0.1, expected none: relative_step sets it; switch "
          "relative_step off");
    CHECK(refusal(Adafactor{.relative_step = false}) ==
          "zeropp: Adafactor: lr is absent, expected a number: relative_step is off");
    CHECK(refusal(Adafactor{.lr = 0.1f, .relative_step = false, .warmup_init = true}) ==
          "zeropp: Adafactor: warmup_init is on, expected off: relative_step is");
    CHECK(refusal(Adafactor{.lr = -1, .relative_step = false}) ==
          "zeropp: Adafactor: lr is -1, expected 0 or more");
    CHECK(refusal(Adafactor{.eps = 0}) ==
          "zeropp: Adafactor: eps is 0, expected at least 1e-37: the least square");
    CHECK(refusal(Adafactor{.clip_threshold = 0}) ==
          "zeropp: Adafactor: clip_threshold is 0, expected more than 0");
    CHECK(refusal(Adafactor{.decay_rate = 0.8f}) ==
          "zeropp: Adafactor: decay_rate is 0.8, expected less than 0");
    CHECK(refusal(Adafactor{.beta1 = 1}) ==
          "zeropp: Adafactor: beta1 is 1, expected 0 or more and less than 1");
    try {
        make_rule(Adafactor{}, {.lr = 0.5f});
        FAIL("a group's lr beside relative_step");
    } catch (const Error& error) {
        CHECK(std::string{error.what()} ==
              "zeropp: ParameterGroups: a group has its own lr, 0.5, expected none: Adafactor's "
              "relative_step sets it; switch relative_step off");
    }
}
