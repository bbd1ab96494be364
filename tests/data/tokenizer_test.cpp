// SPDX-License-Identifier: Apache-2.0
/// \file The tokenizer against transformers' T5Tokenizer(legacy=True), and its errors.
#include <cstdint>
#include <string>
#include <vector>

#include <zeropp/data/tokenizer.hpp>

#include "data/golden.hpp"
#include "support/catch.hpp"
#include "support/temporary.hpp"

namespace zp = zeropp;
using Ids = std::vector<std::int32_t>;
using zp::testing::golden_objects;
using zp::testing::golden_text;
using zp::testing::message_of;
using zp::testing::TemporaryFolder;

TEST_CASE("texts get the ids that transformers gives them") {
    const zp::Tokenizer tokenizer{golden_text("")};
    const auto objects = golden_objects("encoded.jsonl");
    REQUIRE(objects.size() > 100);
    for (const auto& object : objects) {
        const auto text = object["text"].get<std::string>();
        INFO(text);
        const auto ids = object["ids"].get<Ids>();
        CHECK(tokenizer.encode(text, 10'000) == ids);
        for (std::size_t longest = 1; longest < ids.size(); ++longest) {
            Ids cut(ids.begin(), ids.begin() + static_cast<std::ptrdiff_t>(longest - 1));
            cut.push_back(1);
            CHECK(tokenizer.encode(text, longest) == cut);
        }
    }
}

TEST_CASE("ids become the text that transformers makes of them") {
    const zp::Tokenizer tokenizer{golden_text("spiece.model")};
    const auto objects = golden_objects("decoded.jsonl");
    REQUIRE(objects.size() > 200);
    for (const auto& object : objects) {
        INFO(object.dump());
        CHECK(tokenizer.decode(object["ids"].get<Ids>()) == object["text"].get<std::string>());
    }
    CHECK(tokenizer.decode(Ids{-1, 32'127, 1'000'000}).empty());
}

TEST_CASE("the extra ids follow the pieces, the last one first") {
    const zp::Tokenizer tokenizer{golden_text("spiece.model")};
    CHECK(tokenizer.size() == 500);
    CHECK(tokenizer.extra_id(0) == 499);
    CHECK(tokenizer.extra_id(99) == 400);
    CHECK(tokenizer.encode("<extra_id_0><extra_id_99>") == Ids{499, 400});
}

TEST_CASE("a tokenizer from its files is the same again") {
    const zp::Tokenizer tokenizer{golden_text("spiece.model")};
    const TemporaryFolder folder;
    for (const auto& [name, bytes] : tokenizer.files()) folder.write(name, bytes);
    CHECK(zp::Tokenizer{folder.path()}.model() == tokenizer.model());
    std::ifstream stream{folder / "tokenizer_config.json"};
    const auto config = nlohmann::json::parse(stream);
    CHECK(config["tokenizer_class"] == "T5Tokenizer");
    CHECK(config["extra_ids"] == 100);
    CHECK(config["additional_special_tokens"].size() == 100);
    CHECK(config["additional_special_tokens"][99] == "<extra_id_99>");
}

TEST_CASE("what is no tokenizer is refused in a sentence") {
    const TemporaryFolder folder;
    const auto refusal = [&](const std::string& name) {
        return message_of([&] { zp::Tokenizer{folder / name}; }, folder.path());
    };
    CHECK(refusal("absent/spiece.model") ==
          "zeropp: absent/spiece.model: No such file or directory, expected a SentencePiece model");
    folder.write("empty", "");
    CHECK(refusal("empty") ==
          "zeropp: empty: cannot be read as a SentencePiece model, expected the whole of one");
    folder.write("text", "this is no model\n");
    CHECK(refusal("text").find("cannot be read as a SentencePiece model") != std::string::npos);
    const std::string whole = zp::Tokenizer{golden_text("spiece.model")}.model();
    for (std::size_t size = 1; size < whole.size(); size += whole.size() / 17) {
        folder.write("truncated", whole.substr(0, size));
        CHECK(refusal("truncated").starts_with("zeropp: truncated: "));
    }

    std::filesystem::create_directory(folder / "model");
    CHECK(refusal("model") ==
          "zeropp: model/spiece.model: No such file or directory, expected a SentencePiece model");
    folder.write("model/tokenizer.json", "{}");
    CHECK(refusal("model") ==
          "zeropp: model: holds tokenizer.json but no spiece.model, expected spiece.model; reading "
          "tokenizer.json comes in a later version, until then copy spiece.model from the model "
          "that this one was made from");
}
