// SPDX-License-Identifier: Apache-2.0
/// \file `Columns`: some channels of every row of a value, one of several projections that one
/// product computed; and where their gradients go.
#pragma once

#include <array>
#include <cstddef>

#include <zeropp/tensor/tape.hpp>

namespace zeropp {

template <Scalar E>
struct Columns {
    Var<E> var;
    std::size_t first = 0, count = 0;

    Columns() = default;
    Columns(Var<E> whole) : var{whole}, count{whole.shape().width()} {}
    Columns(Var<E> of, std::size_t first_column, std::size_t columns)
        : var{of}, first{first_column}, count{columns} {
        require(first + count <= of.shape().width(), Errc::shape, "columns: ", first, " to ",
                first + count, " of a value of shape ", of.shape(), ", expected at most ",
                of.shape().width());
    }
    Strided<const E> view() const {
        if (!var) return {};
        return {var.data() + first, var.shape().width()};
    }
};

/// Where an operation that reads N columns puts their gradients. Columns of the same value share
/// its gradient, and must cover it, since a first contribution is written.
template <Scalar E, std::size_t N>
class ColumnGradients {
public:
    template <class T>
    ColumnGradients(T& tape, const std::array<Columns<E>, N>& columns) {
        for (std::size_t i = 0; i < N; ++i) {
            if (!columns[i].var) continue;
            std::size_t covered = 0, owner = N;
            for (std::size_t j = 0; j < N; ++j)
                if (columns[j].var.value() == columns[i].var.value()) {
                    covered += columns[j].count;
                    if (owner == N) owner = j;
                }
            const std::size_t width = columns[i].var.shape().width();
            require(covered == width, Errc::shape, "columns: ", covered, " channels of a value of ",
                    width, " are read, expected all of them by one operation");
            whole_[i] = owner == i ? tape.contribute(columns[i].var) : whole_[owner];
            if (!whole_[i])  // a constant: nobody reads what comes here
                whole_[i].data = tape.template take<E>(columns[i].var.shape().size());
            views_[i] = {whole_[i].data + columns[i].first, width};
        }
    }
    Strided<E> view(std::size_t index) const { return views_[index]; }
    bool add(std::size_t index) const { return whole_[index].add; }

private:
    std::array<Gradient<E>, N> whole_{};
    std::array<Strided<E>, N> views_{};
};

}  // namespace zeropp
