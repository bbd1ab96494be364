// SPDX-License-Identifier: Apache-2.0
/// \file A tokenizer made in process has T5's conventions; too little text is an error.
#include <cstdlib>
#include <string>

#include <zeropp/core/rng.hpp>
#include <zeropp/data/train_tokenizer.hpp>

#include "support/catch.hpp"
#include "support/temporary.hpp"

namespace zp = zeropp;
using zp::testing::message_of;
using zp::testing::TemporaryFolder;

namespace {

/// Lines of made-up words of two to four syllables.
std::string made_up_text(int lines) {
    zp::Random random{7};
    const char* const syllables[] = {"ra", "to", "ki", "mun", "sel", "per", "da", "vo", "lin"};
    std::string text;
    for (int line = 0; line < lines; ++line) {
        for (int word = 0; word < 8; ++word) {
            text += word == 0 ? "" : " ";
            for (std::uint32_t k = 2 + random.below(3); k > 0; --k)
                text += syllables[random.below(9)];
        }
        text += '\n';
    }
    return text;
}

}  // namespace

TEST_CASE("a trained tokenizer has T5's special ids, the size asked for, and spells all text") {
    const TemporaryFolder folder;
    const auto file = folder.write("text, with a comma.txt", made_up_text(400));
    const zp::Tokenizer tokenizer = zp::train_tokenizer(file, {.vocab_size = 200});
    CHECK(tokenizer.size() == 300);
    const std::string text = "rato kimunsel per";
    const auto ids = tokenizer.encode(text, 100);
    CHECK(ids.back() == 1);
    CHECK(ids.size() < 12);  // pieces are longer than letters
    CHECK(tokenizer.decode(ids) == text);
    CHECK(tokenizer.encode("<pad><unk></s>") == std::vector<std::int32_t>{0, 2, 1});

    SECTION("the same text gives the same tokenizer") {
        CHECK(zp::train_tokenizer(file, {.vocab_size = 200}).model() == tokenizer.model());
    }
    SECTION("a part of a long text is enough") {
        CHECK(zp::train_tokenizer(file, {.vocab_size = 100, .most_lines = 100}).size() == 200);
    }
}

TEST_CASE("text that cannot fill a vocabulary is refused with what is possible") {
    const TemporaryFolder folder;
    const auto refusal = [&](const std::string& name, int vocab_size) {
        return message_of([&] { zp::train_tokenizer(folder / name, {.vocab_size = vocab_size}); },
                          folder.path());
    };
    folder.write("little.txt", made_up_text(3));
    const std::string little = refusal("little.txt", 5000);
    CHECK(
        little.starts_with("zeropp: little.txt: holds too little text for 5000 pieces, expected "
                           "at most "));
    CHECK(little.ends_with(" pieces or more text"));
    const int most = std::atoi(little.c_str() + little.find("at most ") + 8);
    CHECK(zp::train_tokenizer(folder / "little.txt", {.vocab_size = most}).size() == most + 100);

    const std::string narrow = refusal("little.txt", 5);
    CHECK(
        narrow.starts_with("zeropp: little.txt: has more different characters than 5 pieces can "
                           "hold, expected at least "));
    CHECK(refusal("absent.txt", 100) ==
          "zeropp: absent.txt: No such file or directory, expected text to make a tokenizer from");
    folder.write("blank.txt", "\n  \n\t\r\n");
    CHECK(refusal("blank.txt", 100) ==
          "zeropp: blank.txt: is empty, expected text to make a tokenizer from");
}

TEST_CASE("a line longer than SentencePiece takes is refused by its number") {
    const TemporaryFolder folder;
    const auto text =
        folder.write("text.txt", "a short line\n" + std::string(1'000'001, 'a') + "\n");
    CHECK(message_of([&] { zp::train_tokenizer(text, {.vocab_size = 30}); }, folder.path()) ==
          "zeropp: text.txt: line 2: has 1000001 bytes, expected at most 1000000; a sentence or "
          "paragraph a line");
}
