// SPDX-License-Identifier: Apache-2.0
/// \file What a T5's training takes beside its state, in a precision known at run time. Component
/// `onednn`.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include <zeropp/core/error.hpp>
#include <zeropp/core/precision.hpp>
#include <zeropp/device/onednn.hpp>
#include <zeropp/device/products.hpp>
#include <zeropp/format/t5_config.hpp>
#include <zeropp/model/t5.hpp>

namespace zeropp {

/// The precisions that a T5 computes in.
inline std::vector<DType> t5_precisions() {
    std::vector<DType> all{DType::fp32, DType::bf16};
    if constexpr (Products<OneDnn, Half>) all.push_back(DType::fp16);
    return all;
}

/// `T5::activation_bytes` of such a model; nothing of it is allocated.
inline std::size_t t5_activation_bytes(const T5Config& config, T5Options options, DType precision,
                                       bool recompute = false) {
    options.recompute = recompute;
    const auto of = [&](auto element) -> std::size_t {
        using E = decltype(element);
        if constexpr (Products<OneDnn, E>)
            return T5<E>::with_random_weights(config, 0, options).activation_bytes();
        else
            fail(Errc::config, "t5_activation_bytes: precision is ", name_of(precision),
                 ", expected one that a T5 computes in");
    };
    return precision == DType::fp32   ? of(float{})
           : precision == DType::bf16 ? of(Bf16{})
                                      : of(Half{});
}

}  // namespace zeropp
