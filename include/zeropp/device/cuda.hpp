// SPDX-License-Identifier: Apache-2.0
/// \file `Cuda`: an NVIDIA GPU and one stream of it. Component `cuda`; for .cu files.
#pragma once

#if !defined(__CUDACC__)
#error "zeropp: device/cuda.hpp is included by a .cpp, expected a .cu that nvcc compiles"
#endif

#include <cstddef>
#include <memory>
#include <new>
#include <string>
#include <string_view>
#include <utility>

#include <cuda_runtime.h>

#include <zeropp/core/error.hpp>
#include <zeropp/device/concepts.hpp>

namespace zeropp {

namespace detail {

/// `call` as it stands in the message: "cudaMalloc".
inline void check_cuda(cudaError_t status, const char* call) {
    if (status == cudaSuccess) return;
    int ordinal = -1;
    cudaGetDevice(&ordinal);
    fail(Errc::device, "Cuda ", ordinal, ": ", call, ": ", cudaGetErrorString(status),
         ", expected success");
}

/// A stream of one GPU, and the small memory that measuring takes. Owned; not to be copied.
class CudaStream {
public:
    /// Doubles of scratch on the GPU, one result of a block of elements each.
    static constexpr std::size_t scratch_doubles = std::size_t{1} << 16;

    explicit CudaStream(int ordinal) : ordinal_{ordinal} {
        int count = 0;
        const cudaError_t status = cudaGetDeviceCount(&count);
        require(status == cudaSuccess && count > 0, Errc::device, "Cuda: no GPU can be used (",
                cudaGetErrorString(status), "), expected one and its driver; use the host");
        require(0 <= ordinal && ordinal < count, Errc::device, "Cuda: GPU ", ordinal,
                " is asked for, expected 0 to ", count - 1);
        use();
        check_cuda(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking),
                   "cudaStreamCreateWithFlags");
        check_cuda(cudaMalloc(&scratch_, scratch_doubles * sizeof(double)), "cudaMalloc");
        check_cuda(cudaMallocHost(&result_, sizeof(double)), "cudaMallocHost");
    }
    CudaStream(const CudaStream&) = delete;
    CudaStream& operator=(const CudaStream&) = delete;
    ~CudaStream() {
        if (result_ != nullptr) cudaFreeHost(result_);
        if (scratch_ != nullptr) cudaFree(scratch_);
        if (stream_ != nullptr) cudaStreamDestroy(stream_);
    }

    /// Makes the GPU this thread's.
    void use() const { check_cuda(cudaSetDevice(ordinal_), "cudaSetDevice"); }
    int ordinal() const noexcept { return ordinal_; }
    cudaStream_t get() const noexcept { return stream_; }
    double* scratch() const noexcept { return scratch_; }
    /// One number on its way to the host, in pinned memory.
    double* result() const noexcept { return result_; }

private:
    int ordinal_;
    cudaStream_t stream_ = nullptr;
    double* scratch_ = nullptr;
    double* result_ = nullptr;
};

}  // namespace detail

/// Work runs in the order of its calls, on the stream; only `synchronize`, and what returns a
/// number, makes the host wait. Used by one thread at a time.
class Cuda {
public:
    /// GPU `ordinal` and a new stream. Without one: GPU 0, and the stream that is this thread's.
    explicit Cuda(int ordinal) : stream_{std::make_shared<detail::CudaStream>(ordinal)} {}
    Cuda() {
        thread_local const std::shared_ptr<detail::CudaStream> mine =
            std::make_shared<detail::CudaStream>(0);
        stream_ = mine;
    }

    std::byte* allocate(std::size_t bytes) const {
        stream_->use();
        void* at = nullptr;
        const cudaError_t status = cudaMalloc(&at, bytes);
        if (status == cudaErrorMemoryAllocation) {
            cudaGetLastError();  // it is told once, here
            throw std::bad_alloc{};
        }
        detail::check_cuda(status, "cudaMalloc");
        fill_zero(static_cast<std::byte*>(at), bytes);
        synchronize();
        return static_cast<std::byte*>(at);
    }
    void deallocate(std::byte* at, std::size_t) const noexcept {
        cudaStreamSynchronize(stream());
        cudaFree(at);
    }
    /// Between any two of the host's and the GPU's memories.
    void copy(std::byte* to, const std::byte* from, std::size_t bytes) const {
        if (bytes == 0) return;
        detail::check_cuda(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDefault, stream()),
                           "cudaMemcpyAsync");
    }
    void fill_zero(std::byte* at, std::size_t bytes) const {
        if (bytes == 0) return;
        detail::check_cuda(cudaMemsetAsync(at, 0, bytes, stream()), "cudaMemsetAsync");
    }
    void synchronize() const {
        detail::check_cuda(cudaStreamSynchronize(stream()), "cudaStreamSynchronize");
    }
    static constexpr std::string_view name() noexcept { return "cuda"; }

    int ordinal() const noexcept { return stream_->ordinal(); }
    cudaStream_t stream() const noexcept { return stream_->get(); }
    const detail::CudaStream& owner() const noexcept { return *stream_; }

private:
    std::shared_ptr<detail::CudaStream> stream_;
};
static_assert(Device<Cuda>);

/// "NVIDIA H100 80GB HBM3 (sm_90, 79.1 GiB)".
inline std::string describe_gpu(int ordinal) {
    cudaDeviceProp properties{};
    detail::check_cuda(cudaGetDeviceProperties(&properties, ordinal), "cudaGetDeviceProperties");
    std::string text = properties.name;
    text += " (sm_" + std::to_string(properties.major) + std::to_string(properties.minor) + ", ";
    const std::size_t tenths = properties.totalGlobalMem * 10 >> 30;
    return text + std::to_string(tenths / 10) + "." + std::to_string(tenths % 10) + " GiB)";
}

}  // namespace zeropp
