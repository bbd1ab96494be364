// SPDX-License-Identifier: Apache-2.0
/// \file `NonFiniteSteps`: the steps that are skipped because a gradient is not finite, and what is
/// said of them.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <zeropp/comm/concepts.hpp>
#include <zeropp/optim/loss_scale.hpp>
#include <zeropp/zero/exchange.hpp>
#include <zeropp/zero/gradients.hpp>
#include <zeropp/zero/layout.hpp>
#include <zeropp/zero/options.hpp>
#include <zeropp/zero/stage.hpp>
#include <zeropp/zero/step.hpp>
#include <zeropp/zero/update.hpp>

namespace zeropp {

/// Borrows all that it is made of.
template <Element E, Device D, Communicator C, Stage S>
class NonFiniteSteps {
public:
    NonFiniteSteps(const std::vector<Unit>& units, const Layout& layout, D device,
                   GradientStore<E, S, C, D>& gradients, Exchange<C, D>& exchange,
                   SkipNonFinite policy)
        : units_{units},
          layout_{layout},
          device_{device},
          gradients_{gradients},
          exchange_{exchange},
          policy_{policy} {}

    std::int64_t skipped() const noexcept { return skipped_; }
    void finite() {
        gradients_.watch(false);
        in_a_row_ = 0;
    }
    /// Collective. `bad_loss`: the first rank whose loss was not finite; -1: none. Ends the run
    /// where it should not go on.
    Step skip(Step step, int bad_loss, LossScaler& scaler) {
        step.skipped = true;
        step.non_finite = found(bad_loss);
        gradients_.watch(true);
        ++skipped_;
        const auto end_unless = [&](bool may_go_on, const auto&... parts) {
            if (!may_go_on) throw NonFiniteError{message("Trainer: ", parts...), step};
        };
        end_unless(!scaler.is_at_minimum(), "the loss scale is ", scaler.scale(),
                   ", its minimum, and gradients overflow, first in ", step.non_finite,
                   ", expected finite values; use bf16, or a lower learning rate");
        scaler.update(true);
        if (scaler.is_dynamic()) return step;  // it ends at the least scale
        ++in_a_row_;
        end_unless(in_a_row_ < policy_.most_in_a_row, "gradients were not finite in ", in_a_row_,
                   " steps in a row, first in ", step.non_finite,
                   ", expected finite values; lower the learning rate, or look at the data");
        return step;
    }

private:
    /// Names the first tensor whose mean over ranks is not finite, in layout order, and the rank
    /// where it is known. Each rank's own gradient is gone by now: the next steps look at them, so
    /// that a second skip in a row names the rank too.
    std::string found(int bad_loss) {
        gradients_.settle();
        const double none = static_cast<double>(layout_.full_size());
        const std::size_t own = gradients_.first_bad();
        exchange_.mine()[0] = static_cast<double>(first_in_shards());
        exchange_.mine()[1] = own == gradients_.none ? none : static_cast<double>(own);
        exchange_(2);
        double first = none;
        for (int r = 0; r < exchange_.ranks(); ++r)
            first = std::min(first, exchange_.of_rank(r)[0]);
        const std::string name = name_at(static_cast<std::size_t>(first));
        if (bad_loss >= 0) return name + " (and the loss of rank " + std::to_string(bad_loss) + ")";
        if (exchange_.ranks() == 1) return name;
        for (int r = 0; first < none && r < exchange_.ranks(); ++r)
            if (exchange_.of_rank(r)[1] <= first) return name + " of rank " + std::to_string(r);
        return name + " (mean over " + std::to_string(exchange_.ranks()) + " ranks)";
    }
    /// As an element of all buckets; `full_size()` if all are finite.
    std::size_t first_in_shards() {
        const std::size_t none = layout_.full_size();
        std::size_t first = none;
        gradients_.typed([&](auto tag) {
            using G = decltype(tag);
            for (std::size_t b = 0; b < layout_.buckets().size() && first == none; ++b) {
                const Bucket& bucket = layout_.buckets()[b];
                if (!bucket.trainable) continue;
                const std::size_t at =
                    first_not_finite<G>(device_, bucket, bucket.first_of_shard(exchange_.rank()),
                                        gradients_.template shard<G>(b));
                if (at < bucket.padded) first = bucket.full_offset + at;
            }
        });
        return first;
    }
    std::string name_at(std::size_t element) const {
        for (const Bucket& bucket : layout_.buckets())
            for (const Segment& segment : bucket.segments)
                if (element < bucket.full_offset + segment.first + segment.size)
                    return units_[segment.unit].parameters[segment.parameter].name;
        return "no tensor";
    }

    const std::vector<Unit>& units_;
    const Layout& layout_;
    D device_;
    GradientStore<E, S, C, D>& gradients_;
    Exchange<C, D>& exchange_;
    SkipNonFinite policy_;
    std::int64_t skipped_ = 0;
    int in_a_row_ = 0;
};

}  // namespace zeropp
