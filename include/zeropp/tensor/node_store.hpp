// SPDX-License-Identifier: Apache-2.0
/// \file `NodeStore`: host memory of a tape's records, kept from run to run.
#pragma once

#include <cstddef>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>
#include <vector>

namespace zeropp {

/// Records of trivial destructor, one after another in blocks. `clear` keeps the blocks, so that a
/// run that is no longer than an earlier one allocates nothing.
class NodeStore {
public:
    template <class T>
    T* make(T value = {}) {
        static_assert(std::is_trivially_destructible_v<T> && sizeof(T) <= block_bytes);
        static_assert(alignof(T) <= alignof(std::max_align_t));
        const std::size_t bytes = (sizeof(T) + alignof(std::max_align_t) - 1) /
                                  alignof(std::max_align_t) * alignof(std::max_align_t);
        if (used_ + bytes > block_bytes) {
            ++block_;
            used_ = 0;
        }
        if (block_ == blocks_.size()) blocks_.push_back(std::make_unique<std::byte[]>(block_bytes));
        std::byte* const at = blocks_[block_].get() + used_;
        used_ += bytes;
        return ::new (at) T(std::move(value));
    }
    void clear() noexcept { block_ = used_ = 0; }
    std::size_t bytes() const noexcept { return blocks_.size() * block_bytes; }

private:
    static constexpr std::size_t block_bytes = 64 * 1024;

    std::vector<std::unique_ptr<std::byte[]>> blocks_;
    std::size_t block_ = 0, used_ = 0;
};

}  // namespace zeropp
