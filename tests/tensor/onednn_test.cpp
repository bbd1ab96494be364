// SPDX-License-Identifier: Apache-2.0
/// \file oneDNN's products against plain loops, and operations on them.
#include <zeropp/device/onednn.hpp>

#include "gradient_check.hpp"

using namespace check;

namespace {

template <class E>
std::vector<E> random_elements(std::size_t count, std::uint64_t stream) {
    std::vector<E> values(count);
    for (std::size_t i = 0; i < count; ++i) values[i] = static_cast<E>(zp::normal_at(3, stream, i));
    return values;
}

/// `product` with the arguments of `Products::gemm` against plain loops, over shapes and strides.
template <class A, class B, class C, class Product>
void compare(double tolerance, Product product) {
    for (const auto ta : {zp::Transpose::no, zp::Transpose::yes})
        for (const auto tb : {zp::Transpose::no, zp::Transpose::yes})
            for (const float beta : {0.0f, 1.0f})
                for (const auto& [m, n, k] : std::vector<std::array<std::size_t, 3>>{
                         {1, 1, 1}, {3, 5, 7}, {1, 300, 64}, {257, 33, 100}, {40, 260, 1030}}) {
                    const bool a_down = ta == zp::Transpose::yes, b_down = tb == zp::Transpose::yes;
                    const std::size_t lda = (a_down ? m : k) + 3, ldb = (b_down ? k : n) + 1,
                                      ldc = n + 2;
                    const auto a = random_elements<A>(lda * (a_down ? k : m), 0);
                    const auto b = random_elements<B>(ldb * (b_down ? n : k), 1);
                    auto c = random_elements<C>(ldc * m, 2), expected = c;
                    if (beta == 0)  // must not be read
                        for (std::size_t row = 0; row < m; ++row)
                            std::fill_n(c.begin() + static_cast<std::ptrdiff_t>(row * ldc), n,
                                        static_cast<C>(std::numeric_limits<float>::quiet_NaN()));
                    product(ta, tb, m, n, k, a.data(), lda, b.data(), ldb, beta, c.data(), ldc);
                    zp::ReferenceProducts{}.gemm(ta, tb, m, n, k, 1.0f, a.data(), lda, b.data(),
                                                 ldb, beta, expected.data(), ldc);
                    CHECK(distance({c.begin(), c.end()}, {expected.begin(), expected.end()}) <
                          tolerance);
                }
}

/// The model's elements, and those of A, B and C.
template <class E, class A = E, class B = E, class C = E>
void compare_gemm(double tolerance) {
    zp::OneDnn ours;
    std::vector<float> memory(zp::OneDnn::workspace<E>());
    ours.use_workspace(memory);
    compare<A, B, C>(tolerance, [&](auto ta, auto tb, auto m, auto n, auto k, const A* a, auto lda,
                                    const B* b, auto ldb, float beta, C* c, auto ldc) {
        ours.gemm(ta, tb, m, n, k, 1.0f, a, lda, b, ldb, beta, c, ldc);
    });
}

}  // namespace

TEST_CASE("products in fp32 are those of plain loops") {
    compare_gemm<float>(1e-6);  // another order of up to 1,030 summands
}

TEST_CASE("products in bf16 are those of plain loops, rounded once") {
    // Sums in another order fall on the other side of a rounding now and then: 2^-9 of a few
    // values.
    compare_gemm<zp::Bf16>(1e-3);
}

TEST_CASE("products in fp16 are those of plain loops, rounded once") {
    compare_gemm<zp::Half>(1.25e-4);  // as bf16's, with three bits more
}

TEST_CASE("products of an fp16 model with its fp32 stream are those of plain loops") {
    using zp::Half;
    compare_gemm<Half, Half, Half, float>(1e-6);  // not rounded
    compare_gemm<Half, float, Half, Half>(1.25e-4);
    compare_gemm<Half, float, Half, float>(1e-6);
}

namespace {

/// C larger than the workspace's blocks.
template <class E>
void compare_large(double tolerance) {
    zp::OneDnn ours;
    std::vector<float> memory(zp::OneDnn::workspace<E>());
    ours.use_workspace(memory);
    const std::size_t m = 700, n = 2100, k = 9;
    const auto a = random_elements<E>(m * k, 0), b = random_elements<E>(n * k, 1);
    std::vector<E> c(m * n), expected(m * n);
    ours.gemm(zp::Transpose::no, zp::Transpose::yes, m, n, k, 1.0f, a.data(), k, b.data(), k, 0.0f,
              c.data(), n);
    zp::ReferenceProducts{}.gemm(zp::Transpose::no, zp::Transpose::yes, m, n, k, 1.0f, a.data(), k,
                                 b.data(), k, 0.0f, expected.data(), n);
    CHECK(distance({c.begin(), c.end()}, {expected.begin(), expected.end()}) < tolerance);
}

}  // namespace

TEST_CASE("products in 16 bits go over blocks wider and higher than the workspace") {
    compare_large<zp::Bf16>(1e-3);
    compare_large<zp::Half>(1.25e-4);
}

TEST_CASE("16-bit products are native where the processor has them") {
    const auto set = static_cast<unsigned>(dnnl_get_effective_cpu_isa());
    const auto wanted = static_cast<unsigned>(dnnl_cpu_isa_avx512_core_bf16);
    CHECK(zp::OneDnn{}.bf16_products_are_native() == ((set & wanted) == wanted));
}

TEST_CASE("a product uses one thread and leaves the caller's OpenMP as it was") {
    const int before = omp_get_max_threads();
    omp_set_num_threads(3);
    zp::OneDnn products;
    float a = 2, b = 3, c = 0;
    products.gemm(zp::Transpose::no, zp::Transpose::no, 1, 1, 1, 1.0f, &a, 1, &b, 1, 0.0f, &c, 1);
    CHECK(c == 6.0f);
    CHECK(omp_get_max_threads() == 3);
    CHECK(products.threads() == 1);
    omp_set_num_threads(before);
    CHECK_THROWS_WITH(zp::OneDnn{0}, "zeropp: OneDnn: 0 threads, expected at least 1");
}

TEST_CASE("operations on oneDNN's products are those on plain loops") {
    static const std::vector<std::int32_t> ids{1, 2, 16, 1, 0, 2}, labels{3, -100, 0, 16, -100, 3};
    const auto graph = [](auto& tape) {
        tape.enter(0);
        auto x = zp::embedding(tape, std::span{ids}, 2, {0, 0, {17, 64}});
        tape.keep_gradient(x);
        tape.enter(1);
        const auto bias = zp::relative_position_bias(tape, {1, 64, {32, 4}}, 3, 3, {});
        const auto h = zp::rms_norm(tape, x, {1, 0, {64}}, 1e-6f);
        const auto qkv = zp::linear(tape, h, {1, 192, {192, 64}});
        const auto mixed =
            zp::attention(tape, {qkv, 0, 64}, {qkv, 64, 64}, {qkv, 128, 64}, bias, {.heads = 4});
        x = zp::residual_add(tape, x, zp::linear(tape, mixed, {1, 12480, {64, 64}}));
        tape.leave(1);
        zp::cross_entropy(tape, x, {0, 0, {17, 64}}, labels, {.scale = 0.125f});
        tape.leave(0);
    };
    const std::vector<std::size_t> sizes{17 * 64, 12480 + 64 * 64};
    {
        Weights<float> ours{sizes}, plain{sizes};
        for (auto& value : ours.values[1]) value *= 0.2f;
        plain.values = ours.values;
        const Run result = run<float, zp::OneDnn>(ours, graph);
        const Run expected = run<float, zp::ReferenceProducts>(plain, graph);
        for (std::size_t unit = 0; unit < 2; ++unit)
            CHECK(distance(result.gradients[unit], expected.gradients[unit]) < 1e-5);
        CHECK(result.planned == result.peak);
    }
    const auto compare_rounded = [&]<class E>(E, double tolerance) {
        Weights<E> ours{sizes}, plain{sizes};
        for (auto& value : ours.values[1]) value = E{value * 0.2f};
        plain.values = ours.values;
        const Run result = run<E, zp::OneDnn>(ours, graph);
        const Run expected = run<E, zp::ReferenceProducts>(plain, graph);
        for (std::size_t unit = 0; unit < 2; ++unit)
            CHECK(distance(result.gradients[unit], expected.gradients[unit]) < tolerance);
        CHECK(result.planned == result.peak);
    };
    compare_rounded(zp::Bf16{}, 0.01);      // a few roundings to 2^-9 differ
    compare_rounded(zp::Half{}, 0.01 / 8);  // to 2^-12
}
