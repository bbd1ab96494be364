// SPDX-License-Identifier: Apache-2.0
/// \file `OpenUnit`: a unit between `enter` and `leave` of a tape, and its parameters meanwhile.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include <zeropp/core/error.hpp>
#include <zeropp/device/concepts.hpp>
#include <zeropp/tensor/gradient.hpp>
#include <zeropp/tensor/node_store.hpp>
#include <zeropp/tensor/scalar.hpp>
#include <zeropp/tensor/var.hpp>

namespace zeropp {

template <Scalar E>
struct OpenUnit {
    std::size_t unit = 0;
    std::size_t mark = 0;  ///< of the arena when it was entered
    std::uint32_t span = 0, enters_before = 0;
    OpenUnit* outer = nullptr;
    std::span<const E> values;
    std::span<E> gradients;

    /// The innermost open unit that has the parameter.
    static OpenUnit& of(const ParameterRef& parameter, OpenUnit* innermost) {
        for (OpenUnit* open = innermost; open != nullptr; open = open->outer)
            if (open->unit == parameter.unit) return *open;
        fail(Errc::config, "Tape: a parameter of unit ", parameter.unit,
             " is used, expected the unit to be entered");
    }
    const E* values_of(const ParameterRef& parameter) const { return place(parameter, values); }
    /// Where the parameter's next contribution goes; null if it has no gradient.
    Gradient<E> contribute(const ParameterRef& parameter, NodeStore& store) {
        const bool again = is_written(parameter);
        if (!again)
            written_ = store.make(Written{parameter.offset, parameter.shape.size(), written_});
        if (parameter.offset >= gradients.size()) return {};
        require(parameter.offset + parameter.shape.size() <= gradients.size(), Errc::shape,
                "Tape: of elements ", parameter.offset, " to ",
                parameter.offset + parameter.shape.size(), " of unit ", parameter.unit,
                " the last ones are frozen, expected Unit::joint_gradients to count them in");
        return {place(parameter, gradients), again};
    }
    /// A parameter that nothing depends on has gradient zero.
    template <Device D>
    void fill_unwritten(const D& device) const {
        for (std::size_t at = 0; at < gradients.size();) {
            std::size_t first = gradients.size(), next = first;  // written, from `at` on
            for (const Written* one = written_; one != nullptr; one = one->before)
                if (at <= one->offset && one->offset < first) {
                    first = one->offset;
                    next = first + one->size;
                }
            device.fill_zero(reinterpret_cast<std::byte*>(gradients.data() + at),
                             (first - at) * sizeof(E));
            at = next;
        }
    }

private:
    struct Written {
        std::size_t offset, size;
        const Written* before;
    };

    bool is_written(const ParameterRef& parameter) const {
        for (const Written* one = written_; one != nullptr; one = one->before)
            if (one->offset == parameter.offset) return true;
        return false;
    }
    template <class T>
    static T* place(const ParameterRef& parameter, std::span<T> unit) {
        require(parameter.offset + parameter.shape.size() <= unit.size(), Errc::shape,
                "Tape: unit ", parameter.unit, " has ", unit.size(),
                " elements, expected at least ", parameter.offset + parameter.shape.size());
        return unit.data() + parameter.offset;
    }

    const Written* written_ = nullptr;
};

}  // namespace zeropp
