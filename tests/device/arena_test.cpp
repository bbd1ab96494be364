// SPDX-License-Identifier: Apache-2.0
/// \file Memory in order: alignment, limits, what a measuring arena counts, memory that cannot be
/// had.
#include <cstdint>
#include <new>

#include <zeropp/device/arena.hpp>
#include <zeropp/device/host.hpp>

#include "support/catch.hpp"

using namespace zeropp;

namespace {

/// Has no memory.
struct Exhausted : Host {
    std::byte* allocate(std::size_t) const { throw std::bad_alloc{}; }
};

std::size_t address(const void* at) { return reinterpret_cast<std::uintptr_t>(at); }

}  // namespace

TEST_CASE("an arena hands out aligned zeros in order, and no more than it has") {
    Arena<Host> arena{"three", 130};
    CHECK(arena.capacity() == 192);
    const auto a = arena.take<char>(1), b = arena.take<char>(64), c = arena.take<char>(3);
    CHECK(address(a.data()) % Arena<Host>::alignment == 0);
    CHECK(b.data() == a.data() + 64);
    CHECK(c.data() == a.data() + 128);
    CHECK(c[2] == 0);
    CHECK(arena.used() == arena.capacity());
    CHECK_THROWS_WITH(arena.take<char>(1),
                      "zeropp: arena 'three': 256 bytes are wanted, expected at most 192");
}

TEST_CASE("what was taken since a mark is given back; the peak stays") {
    Arena<Host> arena{"marked", 256};
    arena.take<float>(16);
    const std::size_t mark = arena.mark();
    float* const first = arena.take<float>(16).data();
    arena.release(mark);
    CHECK(arena.used() == 64);
    CHECK(arena.peak() == 128);
    CHECK(arena.take<float>(1).data() == first);
}

TEST_CASE("a measuring arena counts as a real one does") {
    auto measuring = Arena<Host>::measuring("measuring");
    Arena<Host> real{"real", 1000};
    for (Arena<Host>* const arena : {&measuring, &real}) {
        arena->take<double>(3);
        const std::size_t mark = arena->mark();
        arena->take<float>(100);
        arena->release(mark);
        arena->take<char>(65);
    }
    CHECK(measuring.is_measuring());
    CHECK(measuring.capacity() == 0);
    CHECK(measuring.peak() == real.peak());
    CHECK(measuring.used() == real.used());
}

TEST_CASE("memory that cannot be had is an error with its size") {
    CHECK_THROWS_WITH((Arena<Exhausted>{"exp_avg", 1000}),
                      "zeropp: arena 'exp_avg': 1024 bytes cannot be had, expected as many free; "
                      "use more ranks, a higher stage or smaller batches");
}
