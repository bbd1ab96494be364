// SPDX-License-Identifier: Apache-2.0
/// \file Cuda: what a step measures and finds, and masters in and out.
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>

#include <zeropp/core/precision.hpp>
#include <zeropp/device/cuda.hpp>
#include <zeropp/device/cuda/for_each.hpp>
#include <zeropp/device/squares.hpp>
#include <zeropp/zero/element.hpp>

namespace zeropp {

namespace detail {

/// blocks[b] = sum of squares of block b, by `square_lanes` threads as the host's lanes.
template <Element G>
__global__ void sum_of_squares_kernel(const G* values, std::size_t count, double* blocks) {
    __shared__ double lanes[square_lanes];
    const std::size_t first = blockIdx.x * square_block;
    const std::size_t end = first + square_block < count ? first + square_block : count;
    double sum = 0;
    for (std::size_t i = first + threadIdx.x; i < end; i += square_lanes)
        sum = add_square(sum, static_cast<float>(values[i]));
    lanes[threadIdx.x] = sum;
    __syncthreads();
    if (threadIdx.x != 0) return;
    double total = 0;
    for (std::size_t lane = 0; lane < square_lanes; ++lane) total += lanes[lane];
    blocks[blockIdx.x] = total;
}

/// total += blocks[0] + blocks[1] + ..., in that order.
template <class Sum>
__global__ void add_blocks_kernel(const Sum* blocks, std::size_t count, Sum* total) {
    Sum sum = *total;
    for (std::size_t b = 0; b < count; ++b) sum += blocks[b];
    *total = sum;
}

/// least = the smallest index of a value that is not finite, if it is smaller.
template <Element G>
struct FindNotFinite {
    const G* values;
    unsigned long long* least;

    __device__ void operator()(std::size_t i) const {
        if (!is_finite(static_cast<float>(values[i]))) atomicMin(least, i);
    }
};

}  // namespace detail

/// The host's bits: the same lanes, blocks and order. Waits for the result.
template <Element G>
double sum_of_squares(const Cuda& device, std::span<const G> values) {
    constexpr std::size_t most = detail::CudaStream::scratch_doubles - 1;  // and the total
    double* const blocks = device.owner().scratch();
    double* const total = blocks + most;
    device.fill_zero(reinterpret_cast<std::byte*>(total), sizeof(double));
    for (std::size_t first = 0; first < values.size(); first += most * square_block) {
        const std::size_t count = std::min(most * square_block, values.size() - first);
        const std::size_t used = (count + square_block - 1) / square_block;
        detail::sum_of_squares_kernel<G>
            <<<static_cast<unsigned>(used), square_lanes, 0, device.stream()>>>(
                values.data() + first, count, blocks);
        detail::check_cuda(cudaGetLastError(), "sum_of_squares");
        detail::add_blocks_kernel<<<1, 1, 0, device.stream()>>>(blocks, used, total);
        detail::check_cuda(cudaGetLastError(), "sum_of_squares");
    }
    double* const result = device.owner().result();
    device.copy(reinterpret_cast<std::byte*>(result), reinterpret_cast<std::byte*>(total),
                sizeof(double));
    device.synchronize();
    return *result;
}

/// values.size() if all are finite. Waits for the result.
template <Element G>
std::size_t first_not_finite(const Cuda& device, std::span<const G> values) {
    static_assert(sizeof(unsigned long long) == sizeof(double));
    auto* const least = reinterpret_cast<unsigned long long*>(device.owner().scratch());
    auto* const result = reinterpret_cast<unsigned long long*>(device.owner().result());
    *result = values.size();
    device.copy(reinterpret_cast<std::byte*>(least), reinterpret_cast<std::byte*>(result),
                sizeof *least);
    for_each_element(device, values.size(), detail::FindNotFinite<G>{values.data(), least});
    device.copy(reinterpret_cast<std::byte*>(result), reinterpret_cast<std::byte*>(least),
                sizeof *least);
    device.synchronize();
    return static_cast<std::size_t>(*result);
}

/// From the host's memory, by way of the stream's scratch.
template <Element E>
void set_masters(const Cuda& device, std::span<const float> values, std::span<E> parameters,
                 std::span<typename Master<E>::Part> parts) {
    constexpr std::size_t most = 2 * detail::CudaStream::scratch_doubles;
    auto* const scratch = reinterpret_cast<float*>(device.owner().scratch());
    for (std::size_t first = 0; first < values.size(); first += most) {
        const std::span<const float> some =
            values.subspan(first, std::min(most, values.size() - first));
        device.copy(reinterpret_cast<std::byte*>(scratch), std::as_bytes(some).data(),
                    some.size_bytes());
        for_each_element(device, some.size(),
                         SplitElement<E>{scratch, parameters.data() + first,
                                         parts.empty() ? nullptr : parts.data() + first});
        device.synchronize();  // `values` may go, and the scratch is used again
    }
}
/// To the host's memory, which may be read at once.
template <Element E>
void get_masters(const Cuda& device, std::span<const E> parameters,
                 std::span<const typename Master<E>::Part> parts, std::span<float> values) {
    constexpr std::size_t most = 2 * detail::CudaStream::scratch_doubles;
    auto* const scratch = reinterpret_cast<float*>(device.owner().scratch());
    for (std::size_t first = 0; first < values.size(); first += most) {
        const std::span<float> some = values.subspan(first, std::min(most, values.size() - first));
        for_each_element(device, some.size(),
                         JoinElement<E>{parameters.data() + first,
                                        parts.empty() ? nullptr : parts.data() + first, scratch});
        device.copy(std::as_writable_bytes(some).data(), reinterpret_cast<std::byte*>(scratch),
                    some.size_bytes());
        device.synchronize();
    }
}

}  // namespace zeropp
