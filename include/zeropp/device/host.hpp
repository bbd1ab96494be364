// SPDX-License-Identifier: Apache-2.0
/// \file `Host`: the reference device. Every other device must agree with it.
#pragma once

#include <cstring>
#include <new>

#include <zeropp/device/concepts.hpp>

namespace zeropp {

struct Host {
    static constexpr std::size_t alignment = 64;

    std::byte* allocate(std::size_t bytes) const {
        auto* at = static_cast<std::byte*>(::operator new (bytes, std::align_val_t{alignment}));
        std::memset(at, 0, bytes);
        return at;
    }
    void deallocate(std::byte* at, std::size_t) const noexcept {
        ::operator delete (at, std::align_val_t{alignment});
    }
    void copy(std::byte* to, const std::byte* from, std::size_t bytes) const {
        if (bytes != 0) std::memcpy(to, from, bytes);
    }
    void fill_zero(std::byte* at, std::size_t bytes) const {
        if (bytes != 0) std::memset(at, 0, bytes);
    }
    void synchronize() const noexcept {}
    static constexpr std::string_view name() noexcept { return "host"; }
};
static_assert(Device<Host>);

}  // namespace zeropp
