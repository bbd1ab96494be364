// SPDX-License-Identifier: Apache-2.0
/// \file `WholeTensors`: what every rank knows of each trainable tensor, for optimizers that
/// measure them.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include <zeropp/device/arena.hpp>
#include <zeropp/device/host.hpp>
#include <zeropp/optim/rule.hpp>
#include <zeropp/zero/layout.hpp>
#include <zeropp/zero/plan.hpp>

namespace zeropp {

/// Tensors are numbered as `Segment::tensor`. A round's sums stand one tensor's after the other's.
class WholeTensors {
public:
    /// `bytes`: OptimizerPlan::tensor_bytes.
    WholeTensors(const Layout& layout, const std::vector<Unit>& units, const Rule& rule,
                 std::size_t bytes)
        : memory_{"whole-tensor statistics", bytes}, first_sums_(rule.rounds()) {
        for (std::vector<std::size_t>& first : first_sums_) first.push_back(0);
        for (const Bucket& bucket : layout.buckets())
            for (const Segment& segment : bucket.segments)
                if (segment.trainable) add(OptimizerPlan::tensor_of(units, segment), rule);
    }

    Tensor2d& operator[](std::size_t tensor) { return tensors_[tensor]; }
    std::size_t sums_of(std::size_t round) const { return first_sums_[round].back(); }
    /// The tensor's, among `sums` of the round.
    template <class T>
    std::span<T> part(std::size_t round, std::size_t tensor, std::span<T> sums) const {
        const std::size_t first = first_sums_[round][tensor];
        return sums.subspan(first, first_sums_[round][tensor + 1] - first);
    }
    /// Adds what the ranks have measured, in rank order.
    template <class SumsOfRank>
    void total(std::size_t round, std::size_t tensor, int ranks, SumsOfRank sums_of_rank) {
        std::size_t done = 0;
        for (std::size_t r = 0; r < round; ++r)
            done += first_sums_[r][tensor + 1] - first_sums_[r][tensor];
        double* const totals = tensors_[tensor].sums.data() + done;
        const std::size_t first = first_sums_[round][tensor];
        for (std::size_t i = 0; first + i < first_sums_[round][tensor + 1]; ++i) {
            totals[i] = 0;
            for (int r = 0; r < ranks; ++r) totals[i] += sums_of_rank(r)[first + i];
        }
    }
    std::size_t bytes_used() const { return memory_.used(); }
    std::size_t bytes_reserved() const { return memory_.capacity(); }

private:
    void add(Tensor2d tensor, const Rule& rule) {
        std::size_t all = 0;
        for (std::size_t r = 0; r < first_sums_.size(); ++r) {
            const std::size_t sums = rule.sums(r, tensor);
            first_sums_[r].push_back(first_sums_[r].back() + sums);
            all += sums;
        }
        tensor.kept = memory_.take<float>(rule.kept(tensor));
        tensor.sums = memory_.take<double>(all);
        tensors_.push_back(tensor);
    }

    Arena<Host> memory_;
    std::vector<Tensor2d> tensors_;
    std::vector<std::vector<std::size_t>> first_sums_;  ///< by round, of each tensor and the end
};

}  // namespace zeropp
