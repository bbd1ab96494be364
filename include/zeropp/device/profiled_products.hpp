// SPDX-License-Identifier: Apache-2.0
/// \file `ProfiledProducts`: any matrix products, counted and timed; and how fast they are alone.
#pragma once

#include <algorithm>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <span>
#include <utility>
#include <vector>

#include <zeropp/core/fingerprint.hpp>
#include <zeropp/core/flops_profile.hpp>
#include <zeropp/device/products.hpp>

namespace zeropp {

/// Without a profile a product costs one comparison more and no clock is read. The bits are those
/// of `P`.
template <class P>
class ProfiledProducts {
public:
    ProfiledProducts() = default;
    template <class... Arguments>
    requires(sizeof...(Arguments) > 0 &&
             std::constructible_from<
                 P, Arguments...>) explicit ProfiledProducts(Arguments&&... arguments)
        : products_{std::forward<Arguments>(arguments)...} {}

    /// From now on what is computed goes to `profile`, which it borrows; null: nowhere.
    void record(FlopsProfile* profile) noexcept { profile_ = profile; }
    const P& unprofiled() const noexcept { return products_; }

    template <class A, class B, class C>
    void gemm(Transpose ta, Transpose tb, std::size_t m, std::size_t n, std::size_t k, float alpha,
              const A* a, std::size_t lda, const B* b, std::size_t ldb, float beta, C* c,
              std::size_t ldc) {
        if (profile_ == nullptr)
            return products_.gemm(ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
        const auto begin = std::chrono::steady_clock::now();
        products_.gemm(ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
        const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - begin;
        profile_->product(std::uint64_t{2} * m * n * k, spent.count());
    }
    template <class E>
    std::size_t workspace() const {
        return products_.template workspace<E>();
    }
    void use_workspace(std::span<float> memory) { products_.use_workspace(memory); }
    void describe(Fingerprint& fields) const { products_.describe(fields); }

    // As `ObservesUnits` has it.
    void begin_run() {
        if (profile_ != nullptr) profile_->begin_run();
    }
    void enter_unit(std::size_t unit, bool backward) {
        if (profile_ != nullptr) profile_->enter_unit(unit, backward);
    }
    void leave_unit() {
        if (profile_ != nullptr) profile_->leave_unit();
    }
    void suspend() {
        if (profile_ != nullptr) profile_->suspend();
    }

private:
    P products_;
    FlopsProfile* profile_ = nullptr;
};

/// FLOPs a second of one product of `extent` x `extent` x `extent`, the fastest of a few: what the
/// same products reach here and now. Uses memory of its own.
template <class E, class P>
requires Products<P, E>
double product_rate(P products, std::size_t extent) {
    using Clock = std::chrono::steady_clock;
    std::vector<float> memory(products.template workspace<E>());
    products.use_workspace(memory);
    const std::vector<E> a(extent * extent, E{0.5f}), b(extent * extent, E{0.25f});
    std::vector<E> c(extent * extent);
    double best = 0;
    for (int repeat = 0; repeat < 6; ++repeat) {
        const auto begin = Clock::now();
        products.gemm(Transpose::no, Transpose::yes, extent, extent, extent, 1.0f, a.data(), extent,
                      b.data(), extent, 0.0f, c.data(), extent);
        const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
        const auto size = static_cast<double>(extent);
        if (repeat > 0 && seconds > 0) best = std::max(best, 2 * size * size * size / seconds);
    }
    return best;
}

}  // namespace zeropp
