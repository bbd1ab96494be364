// SPDX-License-Identifier: Apache-2.0
/// \file Which vector instructions the host's loops use, chosen once per process.
/// The binary is generic x86-64; `vectorized` compiles a loop once per set and picks at run time.
#pragma once

#include <cstdlib>
#include <string_view>

#include <zeropp/core/config.hpp>
#include <zeropp/core/error.hpp>

namespace zeropp {

enum class InstructionSet { generic, avx2, avx512 };

constexpr std::string_view name_of(InstructionSet set) {
    return set == InstructionSet::avx512 ? "avx512"
           : set == InstructionSet::avx2 ? "avx2"
                                         : "generic";
}

namespace detail {

inline InstructionSet best_instruction_set() {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq"))
        return InstructionSet::avx512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return InstructionSet::avx2;
#endif
    return InstructionSet::generic;
}

inline InstructionSet capped_instruction_set() {
    const InstructionSet best = best_instruction_set();
    const char* const cap = std::getenv("ZEROPP_MAX_ISA");
    if (cap == nullptr || *cap == '\0') return best;
    for (const auto set : {InstructionSet::generic, InstructionSet::avx2, InstructionSet::avx512})
        if (name_of(set) == cap) return set < best ? set : best;
    fail(Errc::config, "ZEROPP_MAX_ISA: is '", cap, "', expected generic, avx2 or avx512");
}

#if defined(__x86_64__)
// g++ vectorises little below -O3; what is inlined here takes the level of these two functions.
#if defined(__OPTIMIZE__) && !defined(__clang__)
#define ZEROPP_TARGET(set) __attribute__((target(set), optimize("O3")))
#else
#define ZEROPP_TARGET(set) __attribute__((target(set)))
#endif
template <class Body>
ZEROPP_TARGET("avx2,fma,f16c")
void run_avx2(Body& body) {
    body();
}
template <class Body>
ZEROPP_TARGET("avx512f,avx512bw,avx512vl,avx512dq,avx2,fma,f16c")
void run_avx512(Body& body) {
    body();
}
#undef ZEROPP_TARGET
#endif

}  // namespace detail

/// The set in use: the best that the processor has, capped by the variable ZEROPP_MAX_ISA.
inline InstructionSet instruction_set() {
    static const InstructionSet chosen = detail::capped_instruction_set();
    return chosen;
}

/// Mark of a loop in which no iteration depends on another.
#if defined(__clang__)
#define ZEROPP_VECTOR_LOOP _Pragma("clang loop vectorize(assume_safety)")
#else
#define ZEROPP_VECTOR_LOOP _Pragma("GCC ivdep")
#endif

/// Runs `body`, a lambda marked ZEROPP_INLINE: `vectorized([&]() ZEROPP_INLINE { loop });`
///
/// Law: the set must not change bits. Inside, every multiply-add is
/// `__builtin_fmaf`/`__builtin_fma` (no `a * b + c`, which a compiler contracts in one set only),
/// and reductions run over fixed lanes.
template <class Body>
void vectorized(Body body) {
#if defined(__x86_64__)
    switch (instruction_set()) {
        case InstructionSet::avx512:
            return detail::run_avx512(body);
        case InstructionSet::avx2:
            return detail::run_avx2(body);
        case InstructionSet::generic:
            break;
    }
#endif
    body();
}

}  // namespace zeropp
