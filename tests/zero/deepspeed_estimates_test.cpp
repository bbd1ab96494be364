// SPDX-License-Identifier: Apache-2.0
/// \file The estimates are DeepSpeed's own, to the byte (tests/golden/plan.py).
#include <string>

#include <zeropp/format/file.hpp>
#include <zeropp/format/json.hpp>
#include <zeropp/zero/deepspeed_estimates.hpp>

#include "support/catch.hpp"
#include "support/golden.hpp"

namespace zp = zeropp;

namespace {

zp::DeepSpeedEstimate estimate(const zp::Json& cpu_and_gpu) {
    return {cpu_and_gpu[0].get<std::size_t>(), cpu_and_gpu[1].get<std::size_t>()};
}
std::string text(bool value) { return value ? "True" : "False"; }

}  // namespace

namespace zeropp {
std::ostream& operator<<(std::ostream& out, const DeepSpeedEstimate& estimate) {
    return out << "cpu " << estimate.cpu << ", gpu " << estimate.gpu;
}
}  // namespace zeropp

TEST_CASE("estimates of ZeRO-2 and ZeRO-3 are DeepSpeed's") {
    const zp::Json golden = zp::read_json(zp::testing::golden("plan/deepspeed_estimates.json"));
    std::size_t compared = 0;
    for (const zp::Json& one : golden.at("cases")) {
        CAPTURE(one.at("model").get<std::string>(), one.at("ranks_a_node").dump(),
                one.at("nodes").dump());
        const zp::DeepSpeedModel model{one.at("parameters"), one.at("largest_layer"),
                                       one.at("ranks_a_node"), one.at("nodes")};
        for (const bool offload : {false, true}) {
            CHECK(zp::deepspeed_estimate(model, zp::DeepSpeedZero2{.offload = offload}) ==
                  estimate(one.at("zero2").at("offload=" + text(offload))));
            for (const bool parameters : {false, true}) {
                if (parameters && !offload) continue;
                for (const bool zero_init : {false, true}) {
                    const zp::DeepSpeedZero3 how{.offload = offload,
                                                 .offload_parameters = parameters,
                                                 .zero_init = zero_init};
                    CHECK(zp::deepspeed_estimate(model, how) ==
                          estimate(one.at("zero3").at("offload=" + text(offload) +
                                                      " offload_parameters=" + text(parameters) +
                                                      " zero_init=" + text(zero_init))));
                    ++compared;
                }
            }
        }
    }
    CHECK(compared == 25 * 6);
}

TEST_CASE("a model's largest layer is its largest parameter") {
    const zp::DeepSpeedModel model =
        zp::deepspeed_model({{"a", {{"x", {3, 4}}, {"y", {5}}}}, {"b", {{"z", {7}}}}}, 8, 2);
    CHECK(model.parameters == 24);
    CHECK(model.largest_layer == 12);
    CHECK(model.ranks_a_node == 8);
    CHECK(model.nodes == 2);
}
