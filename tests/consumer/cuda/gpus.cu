// SPDX-License-Identifier: Apache-2.0
#include <cstdio>

#include <zeropp/cuda.hpp>

int main() {
    int gpus = 0;
    if (cudaGetDeviceCount(&gpus) != cudaSuccess) gpus = 0;
    for (int gpu = 0; gpu < gpus; ++gpu) std::puts(zeropp::describe_gpu(gpu).c_str());
    std::printf("GPUs: %d\n", gpus);
}
