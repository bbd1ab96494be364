// SPDX-License-Identifier: Apache-2.0
/// \file Element-wise work on a GPU: the function objects that the host runs too.
#pragma once

#include <cstddef>

#include <zeropp/device/cuda.hpp>
#include <zeropp/device/launch.hpp>

namespace zeropp {

namespace detail {

template <class Body>
__global__ void for_each_element_kernel(std::size_t count, Body body) {
    const std::size_t step = static_cast<std::size_t>(gridDim.x) * blockDim.x;
    for (std::size_t i = static_cast<std::size_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < count;
         i += step)
        body(i);
}

}  // namespace detail

/// Calls body(i) for i of 0 .. count - 1 on the stream; what it points to is the GPU's memory.
template <class Body>
void for_each_element(const Cuda& device, std::size_t count, const Body& body) {
    const Launch launch = launch_of(count);
    if (launch.blocks == 0) return;
    detail::for_each_element_kernel<<<launch.blocks, launch.threads, 0, device.stream()>>>(count,
                                                                                           body);
    detail::check_cuda(cudaGetLastError(), "for_each_element");
}

}  // namespace zeropp
