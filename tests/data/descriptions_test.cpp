// SPDX-License-Identifier: Apache-2.0
/// \file Package descriptions: joined, cleaned, and split so that siblings stay together.
#include "../../examples/t5/descriptions.hpp"

#include <set>
#include <string>

#include "support/catch.hpp"

TEST_CASE("fields are found with their continuation lines, by their whole name") {
    const std::string paragraph =
        "Package: a\nDescription-md5: 12\nDescription-en: short\n one\n .\n two\nX: y";
    CHECK(field(paragraph, "Package") == "a");
    CHECK(field(paragraph, "Description-en") == "short\n one\n .\n two");
    CHECK(field(paragraph, "Description").empty());
    CHECK(field(paragraph, "X") == "y");
    CHECK(field("Package: a\n", "Package") == "a");
    CHECK(field("", "Package").empty());
    int count = 0;
    for_each_paragraph("\n\nA: 1\n\n\nB: 2\nC: 3\n\n\n", [&](std::string_view) { ++count; });
    CHECK(count == 2);
}

TEST_CASE("a long description becomes one line of words") {
    CHECK(one_line(" This is\n wrapped  text.\n .\n It has:\n  * a\tlist\n  * of two .\n") ==
          "This is wrapped text. It has: * a list * of two .");
    CHECK(one_line(" .\n .\n").empty());
}

TEST_CASE("descriptions are joined by checksum, and no source package is on both sides") {
    std::string packages, translations;
    for (int i = 0; i < 400; ++i) {
        const std::string n = std::to_string(i);
        // Three binary packages of each source package; the first has its name.
        for (const std::string part : {"", "-dev", "-doc"}) {
            const std::string sum = n + part;
            packages += "Package: p" + sum + "\n" +
                        (part.empty() ? "" : "Source: p" + n + " (1.2)\n") +
                        "Description: short\nDescription-md5: " + sum + "\n\n";
            translations += "Package: p" + sum + "\nDescription-md5: " + sum +
                            "\nDescription-en: about " + sum + "\n Long text " + sum +
                            "\n .\n ends.\n\n";
        }
    }
    translations += "Package: gone\nDescription-md5: gone\nDescription-en: a\n b\n\n";
    // The same words with other blanks.
    packages += "Package: p7-copy\nSource: p7\nDescription-md5: copy\n\n";
    translations +=
        "Package: p7-copy\nDescription-md5: copy\nDescription-en: about 7\n Long  text 7 ends.\n\n";
    // A second source package with a text of p0: the alphabetically first one counts.
    packages += "Package: zz\nDescription-md5: 0-dev\n\n";

    const DescriptionSets sets = split_descriptions(packages, translations);
    CHECK(sets.texts == 1202);
    CHECK(sets.without_package == 1);
    CHECK(sets.repeated == 1);
    CHECK(sets.train.size() + sets.validation.size() == 1200);
    CHECK(sets.validation.size() > 6);  // 32 on average, in threes
    CHECK(sets.validation.size() < 75);
    std::set<std::string> train;
    for (const Description& one : sets.train) {
        train.insert(one.source_package);
        if (one.synopsis == "about 12-dev") {
            CHECK(one.text == "Long text 12-dev ends.");
            CHECK(one.source_package == "p12");
        }
        CHECK(one.source_package != "zz");
    }
    for (const Description& one : sets.validation) CHECK(!train.contains(one.source_package));
}

TEST_CASE("a description of validation that training has too is left out") {
    std::string packages, translations;
    for (int i = 0; i < 300; ++i) {
        const std::string n = std::to_string(i);
        packages += "Package: p" + n + "\nDescription-md5: " + n + "\n\n";
        translations += "Package: p" + n + "\nDescription-md5: " + n + "\nDescription-en: short " +
                        n + "\n This is a dummy package.\n\n";
    }
    const DescriptionSets sets = split_descriptions(packages, translations);
    CHECK(sets.validation.empty());
    CHECK(sets.leaking > 0);
    CHECK(sets.train.size() + sets.leaking == 300);
}
