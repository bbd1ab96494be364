// SPDX-License-Identifier: Apache-2.0
/// \file The memory plan: every arena in bytes, before any of it is allocated.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace zeropp {

class MemoryPlan {
public:
    struct Row {
        std::string name;    ///< "parameters", "gradients", "exp_avg", ...
        std::size_t bytes;   ///< of this rank
        bool yours = false;  ///< borrowed from the user: listed, not allocated
    };

    void add(std::string name, std::size_t bytes, bool yours = false) {
        rows_.push_back({std::move(name), bytes, yours});
    }
    const std::vector<Row>& rows() const noexcept { return rows_; }

    /// Bytes that zeropp allocates on this rank.
    std::size_t total() const noexcept {
        std::size_t sum = 0;
        for (const Row& row : rows_) sum += row.yours ? 0 : row.bytes;
        return sum;
    }
    /// Bytes of the rows of one name; 0 if there is none.
    std::size_t bytes_of(std::string_view name) const noexcept {
        std::size_t sum = 0;
        for (const Row& row : rows_) sum += row.name == name ? row.bytes : 0;
        return sum;
    }

private:
    std::vector<Row> rows_;
};

}  // namespace zeropp
