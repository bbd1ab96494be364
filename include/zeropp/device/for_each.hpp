// SPDX-License-Identifier: Apache-2.0
/// \file Element-wise work on the host. A GPU runs the same function objects.
#pragma once

#include <cstddef>

#include <zeropp/device/host.hpp>
#include <zeropp/device/instruction_set.hpp>

namespace zeropp {

/// Calls body(i) for i of 0 .. count - 1, each once and in no order. `body` is a named function
/// object that copies like a struct of pointers and numbers; its operator() is marked ZEROPP_HD and
/// ZEROPP_INLINE, and no call reads what another writes.
template <class Body>
void for_each_element(Host, std::size_t count, const Body& body) {
    vectorized([=]() ZEROPP_INLINE {
        const Body mine = body;
        // Blocks of a fixed count: at -O2 compilers vectorise no other loop.
        std::size_t first = 0;
        for (; first + 64 <= count; first += 64) {
            ZEROPP_VECTOR_LOOP
            for (std::size_t i = 0; i < 64; ++i) mine(first + i);
        }
        for (; first < count; ++first) mine(first);
    });
}

}  // namespace zeropp
