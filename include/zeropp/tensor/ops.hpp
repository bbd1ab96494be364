// SPDX-License-Identifier: Apache-2.0
/// \file All operations of a tape.
#pragma once

#include <zeropp/tensor/activation.hpp>
#include <zeropp/tensor/attention.hpp>
#include <zeropp/tensor/columns.hpp>
#include <zeropp/tensor/cross_entropy.hpp>
#include <zeropp/tensor/embedding.hpp>
#include <zeropp/tensor/linear.hpp>
#include <zeropp/tensor/position_bias.hpp>
#include <zeropp/tensor/residual.hpp>
#include <zeropp/tensor/rms_norm.hpp>
