// SPDX-License-Identifier: Apache-2.0
/// \file `Tensor`: a non-owning view of elements in C order, and its `Shape`.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <initializer_list>
#include <span>
#include <string>

#include <zeropp/core/error.hpp>

namespace zeropp {

/// Up to four extents, outermost first.
class Shape {
public:
    static constexpr std::size_t max_rank = 4;

    constexpr Shape() = default;
    Shape(std::initializer_list<std::size_t> extents) : rank_{extents.size()} {
        require(rank_ <= max_rank, Errc::shape, "shape: rank ", rank_, ", expected at most ",
                max_rank);
        std::copy(extents.begin(), extents.end(), extents_.begin());
    }
    constexpr std::size_t rank() const noexcept { return rank_; }
    constexpr std::size_t operator[](std::size_t axis) const noexcept { return extents_[axis]; }
    constexpr std::size_t size() const noexcept {
        std::size_t count = 1;
        for (std::size_t axis = 0; axis < rank_; ++axis) count *= extents_[axis];
        return count;
    }
    /// The innermost extent: channels of a row.
    constexpr std::size_t width() const noexcept { return rank_ == 0 ? 1 : extents_[rank_ - 1]; }
    /// All other extents together.
    constexpr std::size_t rows() const noexcept {
        std::size_t count = 1;
        for (std::size_t axis = 0; axis + 1 < rank_; ++axis) count *= extents_[axis];
        return count;
    }
    /// The same rows, each `width` wide.
    constexpr Shape with_width(std::size_t width) const noexcept {
        Shape shape = *this;
        shape.extents_[rank_ - 1] = width;
        return shape;
    }
    friend constexpr bool operator==(const Shape&, const Shape&) = default;
    friend void append_text(std::string& text, const Shape& shape) {
        for (std::size_t axis = 0; axis < shape.rank_; ++axis) {
            text += axis == 0 ? "[" : ", ";
            text += std::to_string(shape.extents_[axis]);
        }
        text += shape.rank_ == 0 ? "[]" : "]";
    }

private:
    std::array<std::size_t, max_rank> extents_{};
    std::size_t rank_ = 0;
};

template <class T>
struct Tensor {
    T* data = nullptr;
    Shape shape;

    std::size_t size() const noexcept { return shape.size(); }
    std::span<T> elements() const noexcept { return {data, shape.size()}; }
    std::span<T> row(std::size_t index) const noexcept {
        return {data + index * shape.width(), shape.width()};
    }
};

}  // namespace zeropp
