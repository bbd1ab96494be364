// SPDX-License-Identifier: Apache-2.0
/// \file Counts what this thread takes from `operator new`. In one translation unit of a program.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <new>

inline thread_local std::size_t allocations = 0;

// Not inlined: compilers warn where they see malloc behind new.
__attribute__((noinline)) void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept {
    ++allocations;
    return std::malloc(bytes != 0 ? bytes : 1);
}
__attribute__((noinline)) void* operator new(std::size_t bytes) {
    if (void* const memory = operator new(bytes, std::nothrow)) return memory;
    throw std::bad_alloc{};
}
__attribute__((noinline)) void operator delete(void* memory) noexcept { std::free(memory); }
__attribute__((noinline)) void operator delete(void* memory, std::size_t) noexcept {
    std::free(memory);
}
__attribute__((noinline)) void operator delete(void* memory, const std::nothrow_t&) noexcept {
    std::free(memory);
}
