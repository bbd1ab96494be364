#include <zeropp/core/byte_size.hpp>

#include "support/catch.hpp"

namespace zp = zeropp;

TEST_CASE("sizes are read in powers of 1000 and of 1024, and nothing else is") {
    CHECK(zp::parse_byte_size("16GiB") == std::size_t{16} << 30);
    CHECK(zp::parse_byte_size("16 GiB") == std::size_t{16} << 30);
    CHECK(zp::parse_byte_size("1.5KiB") == 1536);
    CHECK(zp::parse_byte_size("80GB") == 80'000'000'000);
    CHECK(zp::parse_byte_size("0.5KB") == 500);
    CHECK(zp::parse_byte_size("12345") == 12'345);
    CHECK(zp::parse_byte_size("7B") == 7);
    CHECK(zp::parse_byte_size("9007199254740992") == std::size_t{1} << 53);
    for (const char* const text :
         {"", "GiB", "16G", "16gib", "16  GiB", "16 ", "-1GiB", "0", "0.1B", "nan", "inf", "1e3",
          "0x10", "9007199254740993KB", "1,5GiB", "16GiB "}) {
        CAPTURE(text);
        CHECK_FALSE(zp::parse_byte_size(text));
    }
}

TEST_CASE("sizes are written with the unit that leaves the shortest number of 1 or more") {
    CHECK(zp::byte_size_text(0) == "0 B");
    CHECK(zp::byte_size_text(1023) == "1023 B");
    CHECK(zp::byte_size_text(1024) == "1.0 KiB");
    CHECK(zp::byte_size_text(std::size_t{1536} << 20) == "1.5 GiB");
    CHECK(zp::byte_size_text(std::size_t{5000} << 40) == "5000.0 TiB");
}
