// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <vector>

#include <zeropp/core/rng.hpp>
#include <zeropp/optim/adamw.hpp>
#include <zeropp/zero/update.hpp>

#include "support/catch.hpp"

using namespace zeropp;

namespace {

std::byte* bytes_of(std::vector<float>& slot) {
    return std::as_writable_bytes(std::span{slot}).data();
}

}  // namespace

TEST_CASE("a master survives its split into 16 and 16 bits") {
    const auto survives = [](std::uint32_t bits) {
        const auto master = std::bit_cast<float>(bits);
        Bf16 upper;
        std::uint16_t lower = 0;
        MasterSplit::split(master, upper, lower);
        return std::bit_cast<std::uint32_t>(MasterSplit::join(upper, lower)) == bits &&
               std::abs(static_cast<float>(upper) - master) <= std::abs(master) * 0x1p-8f;
    };
    Random random{1};
    for (int i = 0; i < 200'000; ++i) {
        const std::uint32_t bits = random.next();
        if (std::isfinite(std::bit_cast<float>(bits)) &&
            std::abs(std::bit_cast<float>(bits)) < 1e38f &&
            std::abs(std::bit_cast<float>(bits)) > 1e-37f)
            REQUIRE(survives(bits));
    }
    for (const std::uint32_t bits :
         {0u, 0x80000000u, 0x3f808000u, 0x3f818000u, 0x3f80ffffu, 0x3f807fffu, 0xbf808000u})
        CHECK(survives(bits));
}

TEST_CASE("the sum of squares is that of the elements, whatever the length") {
    for (const std::size_t count : {0, 1, 15, 16, 17, 4095, 4096, 4097, 10'000}) {
        std::vector<float> values(count);
        double expected = 0;
        for (std::size_t i = 0; i < count; ++i) {
            values[i] = normal_at(3, 0, i);
            expected += static_cast<double>(values[i]) * values[i];
        }
        CHECK(sum_of_squares(Host{}, std::span<const float>{values}) ==
              Approx(expected).epsilon(1e-13));  // order of a double sum
    }
}

TEST_CASE("an update in pieces is the update of the whole") {
    const std::size_t count = 1000;
    const AdamW optimizer;
    const auto constants = optimizer.constants({.index = 3, .rates = optimizer.rates()});
    const auto run = [&](const std::vector<std::size_t>& cuts) {
        std::vector<float> p(count), g(count), m(count), v(count);
        for (std::size_t i = 0; i < count; ++i)
            p[i] = normal_at(1, 0, i), g[i] = normal_at(1, 1, i), m[i] = normal_at(1, 2, i),
            v[i] = std::abs(normal_at(1, 3, i));
        for (std::size_t c = 0; c + 1 < cuts.size(); ++c) {
            const std::size_t at = cuts[c];
            update_elements<AdamW, float, float>(
                Host{}, constants, 0.5f, cuts[c + 1] - at, p.data() + at, nullptr, g.data() + at,
                {bytes_of(m) + at * sizeof(float), bytes_of(v) + at * sizeof(float)});
        }
        p.insert(p.end(), m.begin(), m.end());
        p.insert(p.end(), v.begin(), v.end());
        return p;
    };
    CHECK(run({0, count}) == run({0, 1, 17, 64, 128, 130, 999, count}));
}

TEST_CASE("every element type takes the steps of fp32 through its master") {
    const std::size_t count = 200;
    const AdamW optimizer{.lr = 1e-2f};
    const auto run = [&](auto tag) {
        using E = decltype(tag);
        using Part = typename Master<E>::Part;
        std::vector<E> p(count);
        std::vector<Part> part(count);
        std::vector<float> m(count), v(count), g(count), master(count);
        for (std::size_t i = 0; i < count; ++i) Master<E>::split(normal_at(1, 0, i), p[i], part[i]);
        for (std::int64_t step = 1; step <= 5; ++step) {
            for (std::size_t i = 0; i < count; ++i)
                g[i] = normal_at(2, static_cast<std::uint64_t>(step), i);
            update_elements<AdamW, E, float>(
                Host{}, optimizer.constants({.index = step, .rates = optimizer.rates()}), 0.5f,
                count, p.data(), part.data(), g.data(), {bytes_of(m), bytes_of(v)});
        }
        for (std::size_t i = 0; i < count; ++i) {
            master[i] = Master<E>::join(p[i], part[i]);
            CHECK(static_cast<float>(p[i]) == static_cast<float>(published<E>(master[i])));
        }
        return master;
    };
    const std::vector<float> expected = run(float{});
    CHECK(run(Bf16{}) == expected);
    CHECK(run(Half{}) == expected);
}
