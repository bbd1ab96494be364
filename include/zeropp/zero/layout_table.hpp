// SPDX-License-Identifier: Apache-2.0
/// \file A layout as text: what a program shows that dumps its state.
#pragma once

#include <cstdio>
#include <string>
#include <vector>

#include <zeropp/model/concepts.hpp>
#include <zeropp/zero/layout.hpp>

namespace zeropp {

/// One line a bucket, with the names of its first and last unit, and the sums.
inline std::string layout_table(const Layout& layout, const std::vector<Unit>& units) {
    std::string text;
    char line[256];
    for (std::size_t b = 0; b < layout.buckets().size(); ++b) {
        const Bucket& bucket = layout.buckets()[b];
        std::string names = units[bucket.first_unit].name;
        if (bucket.unit_count > 1)
            names += " .. " + units[bucket.first_unit + bucket.unit_count - 1].name;
        std::string kind = bucket.resident ? ", resident" : "";
        if (!bucket.trainable)
            kind += ", frozen";
        else if (bucket.used > bucket.active)
            kind += ", frozen from " + std::to_string(bucket.active) + " on";
        std::snprintf(line, sizeof line,
                      "  bucket %3zu: %11zu elements in %3zu tensors, shards of %11zu%s: %s\n", b,
                      bucket.used, bucket.segments.size(), bucket.shard + bucket.frozen_shard,
                      kind.c_str(), names.c_str());
        text += line;
    }
    std::snprintf(line, sizeof line, "  all: %zu elements with padding, %zu of each of %zu ranks\n",
                  layout.full_size(), layout.shard_size(), layout.topology().shard);
    return text + line;
}

}  // namespace zeropp
