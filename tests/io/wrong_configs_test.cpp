// SPDX-License-Identifier: Apache-2.0
/// \file Wrong configurations and the sentence that each gets from `zeropp-info config` on four
/// ranks: pairs of lines of tests/golden/io/wrong_configs.txt.
#include <fstream>
#include <set>
#include <string>

#include <zeropp/io/config_report.hpp>

#include "support/catch.hpp"
#include "support/golden.hpp"
#include "support/temporary.hpp"

namespace zp = zeropp;

namespace {

std::string refusal(const std::string& text) {
    return zp::testing::message_of([&] {
        const zp::Config config = zp::parse_config(text, "ds.json");
        zp::require_supported(config);
        zp::config_report(config, 4);
    });
}

}  // namespace

TEST_CASE("each wrong configuration gets its sentence") {
    std::ifstream file{zp::testing::golden("io/wrong_configs.txt")};
    int count = 0;
    for (std::string text, expected; std::getline(file, text) && std::getline(file, expected);) {
        for (std::size_t at; (at = expected.find("\\n")) != expected.npos;)
            expected.replace(at, 2, "\n");
        CHECK(refusal(text) == expected);
        ++count;
    }
    CHECK(count >= 250);
}

TEST_CASE("at most ten lines are said of a file that asks for much") {
    const std::string said = refusal(R"({
      "amp": {"enabled": true}, "wandb": {"enabled": true}, "comet": {"enabled": true},
      "nebula": {"enabled": true}, "autotuning": {"enabled": true}, "sparse_gradients": true,
      "data_efficiency": {"enabled": true}, "curriculum_learning": {"enabled": true},
      "eigenvalue": {"enabled": true}, "hybrid_engine": {"enabled": true},
      "progressive_layer_drop": {"enabled": true}, "expert_parallel": {"enabled": true}})");
    CHECK(std::count(said.begin(), said.end(), '\n') == 9);
    CHECK(said.ends_with("zeropp: ds.json: 3 further keys are not supported, expected none"));
}

TEST_CASE("mistakes are said together, at most ten lines of them") {
    std::string file = R"({"zero_optimization": {"stage": 9}, "bf16": {"enabled": 1})";
    CHECK(refusal(file + "}") ==
          "zeropp: ds.json: bf16.enabled is 1, expected true or false\n"
          "zeropp: ds.json: zero_optimization.stage is 9, expected 0 to 3");
    for (char c = 'a'; c <= 'j'; ++c) file += std::string{", \""} + c + "\": 1";
    const std::string said = refusal(file + "}");
    CHECK(std::count(said.begin(), said.end(), '\n') == 9);
    CHECK(said.ends_with("zeropp: ds.json: 3 further keys or values are wrong, expected none"));
}

TEST_CASE("every default of the table is a value of its key, and is supported") {
    zp::for_each_config_key([](const zp::ConfigKey& key) {
        if (key.kind == zp::ConfigKey::Kind::block || key.path.ends_with('*')) return;
        if (key.standard.empty() || key.standard == "null") return;
        zp::Json value = zp::Json::parse(key.standard, nullptr, false);
        INFO(key.path << " = " << key.standard);
        REQUIRE_FALSE(value.is_discarded());
        std::string path{key.path};
        zp::Json* at = nullptr;
        zp::Json file = zp::Json::object();
        at = &file;
        for (std::size_t begin = 0, dot; begin < path.size(); begin = dot + 1) {
            dot = std::min(path.find('.', begin), path.size());
            at = &(*at)[path.substr(begin, dot - begin)];
        }
        *at = value;
        for (const char* block : {"optimizer", "scheduler"})
            if (path.starts_with(std::string{block} + ".params.")) {
                const std::string any = *block == 'o' ? "AdamW" : "WarmupLR";
                const std::string of = key.of.empty() ? any : std::string{key.of};
                const std::string type = of.substr(0, of.find('|'));
                file[block]["type"] = type;
                if (type == "WarmupDecayLR" || type == "WarmupCosineLR")
                    file[block]["params"]["total_num_steps"] = 10;
                if (type == "OneCycle")
                    for (const char* rate : {"cycle_min_lr", "cycle_max_lr"})
                        file[block]["params"][rate] = 0.1;
            }
        if (path == "optimizer.legacy_fusion") file["optimizer"]["type"] = "AdamW";
        if (path == "gradient_accumulation_steps") file["train_batch_size"] = 4;
        CHECK(refusal(file.dump()) == "");
    });
}

TEST_CASE("no key stands twice in the table for the same type") {
    std::multiset<std::string> seen;
    zp::for_each_config_key([&](const zp::ConfigKey& key) {
        if (key.of.empty())
            seen.insert(std::string{key.path});
        else
            zp::detail::for_each_word(key.of, [&](std::string_view type) {
                seen.insert(std::string{key.path} + " of " + std::string{type});
            });
    });
    for (const std::string& each : seen)
        CHECK((each + ": " + std::to_string(seen.count(each))) == each + ": 1");
}
