// SPDX-License-Identifier: Apache-2.0
/// \file exp to its stated accuracy, dropout's key, and the same bits with every instruction set.
#include <bit>
#include <cstring>

#include "gradient_check.hpp"

using namespace check;

namespace {

/// `body` with each instruction set that the processor has.
template <class Body>
void with_each_instruction_set(Body body) {
    body();
#if defined(__x86_64__)
    if (zp::instruction_set() >= zp::InstructionSet::avx2) zp::detail::run_avx2(body);
    if (zp::instruction_set() >= zp::InstructionSet::avx512) zp::detail::run_avx512(body);
#endif
}

}  // namespace

TEST_CASE("exp is within 1.5 units in the last place, with the same bits for every set") {
    std::vector<float> in, first;
    for (std::uint32_t bits = 0; bits < 0x42b1707au; bits += 5003) {
        in.push_back(std::bit_cast<float>(bits));
        in.push_back(-std::bit_cast<float>(bits));
    }
    std::vector<float> out(in.size());
    with_each_instruction_set([&]() ZEROPP_INLINE {
        for (std::size_t i = 0; i < in.size(); ++i) out[i] = zp::lanes::exp(in[i]);
        if (first.empty()) first = out;
    });
    CHECK(std::memcmp(first.data(), out.data(), out.size() * 4) == 0);
    double worst = 0;
    for (std::size_t i = 0; i < in.size(); ++i) {
        if (in[i] < -87.0f) continue;
        const double exact = std::exp(static_cast<double>(in[i]));
        const double unit = std::ldexp(1.0, std::ilogb(exact) - 23);
        worst = std::max(worst, std::abs(static_cast<double>(out[i]) - exact) / unit);
    }
    INFO("worst: " << worst << " units in the last place");
    CHECK(worst < 1.5);
}

TEST_CASE("exp at the ends: 0, infinity, NaN") {
    const float infinity = std::numeric_limits<float>::infinity();
    CHECK(zp::lanes::exp(0.0f) == 1.0f);
    CHECK(zp::lanes::exp(-87.5f) == 0.0f);
    CHECK(zp::lanes::exp(-infinity) == 0.0f);
    CHECK(zp::lanes::exp(89.0f) == infinity);
    CHECK(zp::lanes::exp(infinity) == infinity);
    CHECK(std::isnan(zp::lanes::exp(std::numeric_limits<float>::quiet_NaN())));
    CHECK(zp::lanes::exp(88.7f) == Approx(std::exp(static_cast<double>(88.7f))).epsilon(1e-6));
}

TEST_CASE("fp16 is converted to the same bits by every instruction set, as by none") {
    std::vector<float> in;
    for (std::uint64_t bits = 0; bits < (std::uint64_t{1} << 32); bits += 4099)
        in.push_back(std::bit_cast<float>(static_cast<std::uint32_t>(bits)));
    std::vector<zp::Half> all(1 << 16), narrowed(in.size());
    for (std::uint32_t bits = 0; bits < all.size(); ++bits)
        all[bits].bits = static_cast<std::uint16_t>(bits);
    std::vector<float> widened(all.size());
    std::size_t differ = 0;
    with_each_instruction_set([&]() ZEROPP_INLINE {
        const float* __restrict const from = in.data();
        zp::Half* __restrict const to = narrowed.data();
        for (std::size_t i = 0; i < in.size(); ++i) to[i] = zp::Half{from[i]};
        const zp::Half* __restrict const halves = all.data();
        float* __restrict const floats = widened.data();
        for (std::size_t i = 0; i < all.size(); ++i) floats[i] = static_cast<float>(halves[i]);
        for (std::size_t i = 0; i < in.size(); ++i) {
            volatile float one = in[i];  // not vectorised
            differ += zp::Half{one}.bits != narrowed[i].bits;
        }
        for (std::size_t i = 0; i < all.size(); ++i) {
            volatile std::uint16_t one = all[i].bits;
            zp::Half half;
            half.bits = one;
            differ += std::bit_cast<std::uint32_t>(static_cast<float>(half)) !=
                      std::bit_cast<std::uint32_t>(widened[i]);
        }
    });
    CHECK(differ == 0);
}

TEST_CASE("gelu_new is the tanh formula") {
    for (double x = -8; x <= 8; x += 0.01) {
        const double u = std::sqrt(2 / 3.14159265358979323846) * (x + 0.044715 * x * x * x);
        CHECK(zp::GeluNew::value(x) == Approx(x / 2 * (1 + std::tanh(u))).margin(1e-12));
        CHECK(zp::GeluNew::value(static_cast<float>(x)) ==
              Approx(zp::GeluNew::value(static_cast<double>(static_cast<float>(x))))
                  .epsilon(2e-6)
                  .margin(1e-12));
    }
}

TEST_CASE("what drops out depends on seed, example, token, operation and channel only") {
    const auto factors = [](std::uint64_t seed, std::vector<std::uint64_t> ordinals,
                            std::size_t length, std::size_t width, std::uint32_t operation) {
        zp::DropoutRows all{ordinals.size() * length, width, length,
                            {0.1f, operation},        seed,  ordinals};
        std::vector<float> in(all.rows * width, 1.0f), out(in.size());
        zp::dropout_forward(zp::Host{}, all, in.data(), static_cast<const float*>(nullptr),
                            out.data());
        return out;
    };
    const auto base = factors(1, {100, 101}, 4, 96, 5);
    // Longer padding, wider rows, another place in the batch: the same for the same element.
    const auto other = factors(1, {7, 101, 100}, 6, 130, 5);
    const std::size_t place[] = {2, 1};
    for (std::size_t example = 0; example < 2; ++example)
        for (std::size_t token = 0; token < 4; ++token)
            for (std::size_t c = 0; c < 96; ++c)
                REQUIRE(base[(example * 4 + token) * 96 + c] ==
                        other[(place[example] * 6 + token) * 130 + c]);
    // And as the row's own definition says.
    const zp::Dropout dropout{0.1f, 5};
    for (std::size_t c = 0; c < 96; ++c)
        REQUIRE(
            base[(4 + 2) * 96 + c] ==
            (zp::DropoutRow{1, 5, 101, 2}.bits(c) < dropout.threshold() ? 0.0f : dropout.scale()));
    CHECK(factors(2, {100, 101}, 4, 96, 5) != base);
    CHECK(factors(1, {100, 102}, 4, 96, 5) != base);
    CHECK(factors(1, {100, 101}, 4, 96, 6) != base);
}

TEST_CASE("a tenth drops out, and the mean stays") {
    const std::vector<std::uint64_t> ordinals{1};
    const std::size_t count = 1'000'000;
    const zp::DropoutRows all{1000, 1000, 1000, {0.1f, 3}, 9, ordinals};
    std::vector<float> in(count, 1.0f), out(count);
    zp::dropout_forward(zp::Host{}, all, in.data(), static_cast<const float*>(nullptr), out.data());
    const auto dropped = static_cast<double>(std::count(out.begin(), out.end(), 0.0f));
    const double deviation = std::sqrt(0.1 * 0.9 * count);  // of a binomial
    CHECK(std::abs(dropped - 0.1 * count) < 4 * deviation);
    double sum = 0;
    for (const float value : out) sum += value;
    CHECK(std::abs(sum / count - 1) < 4 * deviation / count / 0.9);
}

TEST_CASE("sums over lanes are the same bits with every instruction set") {
    std::vector<float> in(1003), sums;
    for (std::size_t i = 0; i < in.size(); ++i) in[i] = zp::normal_at(1, 2, i);
    with_each_instruction_set([&]() ZEROPP_INLINE {
        const float* const from = in.data();
        sums.push_back(zp::lanes::sum<float>(
            in.size(), [=](std::size_t i, float so_far)
                           ZEROPP_INLINE { return zp::lanes::fma(from[i], from[i], so_far); }));
    });
    for (const float sum : sums) CHECK(sum == sums[0]);
}

TEST_CASE("threefry gives the known answers of its authors") {
    using Words = std::array<std::uint32_t, 4>;
    CHECK(zp::threefry<20>({0, 0, 0, 0}, {0, 0, 0, 0}) ==
          Words{0x9c6ca96a, 0xe17eae66, 0xfc10ecd4, 0x5256a7d8});
    const std::uint32_t ones = 0xffffffffu;
    CHECK(zp::threefry<20>({ones, ones, ones, ones}, {ones, ones, ones, ones}) ==
          Words{0x2a881696, 0x57012287, 0xf6c7446e, 0xa16a6732});
    CHECK(zp::threefry<20>({0xa4093822, 0x299f31d0, 0x082efa98, 0xec4e6c89},
                           {0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}) ==
          Words{0x59cd1dbb, 0xb8879579, 0x86b5d00c, 0xac8b6d84});
}
