// SPDX-License-Identifier: Apache-2.0
/// \file `Arena`: memory that is allocated once and handed out in order.
#pragma once

#include <algorithm>
#include <cstddef>
#include <new>
#include <span>
#include <string>
#include <utility>

#include <zeropp/core/error.hpp>
#include <zeropp/device/concepts.hpp>

namespace zeropp {

/// Owns `capacity` bytes of a device, or none at all: a *measuring* arena counts what would be
/// taken and hands out addresses that must not be touched. Planning runs the real code on one.
template <Device D>
class Arena {
public:
    static constexpr std::size_t alignment = 64;

    /// Rounded up to whole alignment steps.
    static constexpr std::size_t rounded(std::size_t bytes) {
        return (bytes + alignment - 1) / alignment * alignment;
    }

    Arena() = default;
    Arena(std::string name, std::size_t capacity, D device = {})
        : name_{std::move(name)}, device_{device}, capacity_{rounded(capacity)} {
        if (capacity_ == 0) return;
        try {
            begin_ = device_.allocate(capacity_);
        } catch (const std::bad_alloc&) {
            fail(Errc::device, "arena '", name_, "': ", capacity_,
                 " bytes cannot be had, expected as many free; use more ranks, a higher stage or "
                 "smaller batches");
        }
    }
    static Arena measuring(std::string name) {
        Arena arena;
        arena.name_ = std::move(name);
        arena.measuring_ = true;
        return arena;
    }
    Arena(Arena&& other) noexcept { swap(other); }
    Arena& operator=(Arena&& other) noexcept {
        swap(other);
        return *this;
    }
    ~Arena() {
        if (begin_ != nullptr) device_.deallocate(begin_, capacity_);
    }

    /// `count` elements, 64-byte aligned, contents unspecified (zero at first use).
    template <class T>
    std::span<T> take(std::size_t count) {
        const std::size_t first = used_;
        used_ += rounded(count * sizeof(T));
        peak_ = std::max(peak_, used_);
        if (measuring_)  // an address that traps, but is aligned and not null
            return {reinterpret_cast<T*>(alignment + first), count};
        require(used_ <= capacity_, Errc::device, "arena '", name_, "': ", used_,
                " bytes are wanted, expected at most ", capacity_);
        return {reinterpret_cast<T*>(begin_ + first), count};
    }
    std::size_t mark() const noexcept { return used_; }
    /// Gives back everything taken since `mark`.
    void release(std::size_t mark) noexcept { used_ = mark; }

    bool is_measuring() const noexcept { return measuring_; }
    std::size_t capacity() const noexcept { return capacity_; }
    std::size_t used() const noexcept { return used_; }
    std::size_t peak() const noexcept { return peak_; }
    const std::string& name() const noexcept { return name_; }

private:
    void swap(Arena& other) noexcept {
        std::swap(name_, other.name_);
        std::swap(device_, other.device_);
        std::swap(begin_, other.begin_);
        std::swap(capacity_, other.capacity_);
        std::swap(used_, other.used_);
        std::swap(peak_, other.peak_);
        std::swap(measuring_, other.measuring_);
    }

    std::string name_;
    D device_{};
    std::byte* begin_ = nullptr;
    std::size_t capacity_ = 0, used_ = 0, peak_ = 0;
    bool measuring_ = false;
};

}  // namespace zeropp
