// SPDX-License-Identifier: Apache-2.0
/// \file A trainer on a GPU: `Cuda`, what it computes in a step, and logical ranks on one card.
/// Component `cuda`; for .cu files.
#pragma once

#include <zeropp/comm/cuda_thread.hpp>
#include <zeropp/device/cuda.hpp>
#include <zeropp/trainer.hpp>
#include <zeropp/zero/cuda/elements.hpp>
#include <zeropp/zero/cuda/updater.hpp>
