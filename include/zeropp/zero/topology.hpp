// SPDX-License-Identifier: Apache-2.0
/// \file The groups that ranks form, by size.
#pragma once

#include <cstddef>

namespace zeropp {

/// A rank is one of `shard` that divide state among them, in one of `replica` copies of that, and
/// has one of `tensor` parts of each unit and one of `pipeline` runs of units.
struct Topology {
    std::size_t shard = 1, replica = 1, tensor = 1, pipeline = 1;

    constexpr std::size_t world() const noexcept { return shard * replica * tensor * pipeline; }
};

}  // namespace zeropp
