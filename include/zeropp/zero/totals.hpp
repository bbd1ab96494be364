// SPDX-License-Identifier: Apache-2.0
/// \file What all ranks add up together: of a step its squares, losses and tokens; of an evaluation
/// its loss.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include <zeropp/comm/concepts.hpp>
#include <zeropp/core/precision.hpp>
#include <zeropp/model/concepts.hpp>
#include <zeropp/zero/exchange.hpp>
#include <zeropp/zero/gradients.hpp>
#include <zeropp/zero/layout.hpp>
#include <zeropp/zero/plan.hpp>
#include <zeropp/zero/stage.hpp>
#include <zeropp/zero/update.hpp>

namespace zeropp {

struct StepTotals {
    double squares = 0;  ///< of all reduced gradients, as the loss scale left them
    double loss = 0;     ///< mean over ranks
    std::int64_t tokens = 0;
    int bad_loss = -1;  ///< the first rank whose loss is not finite
};

/// Collective. In every stage a rank squares its own shards, and all add them in the order of
/// buckets and ranks: the same bits everywhere. `loss`, `tokens`: this rank's.
template <Element E, Device D, Communicator C, Stage S>
StepTotals step_totals(const Layout& layout, const D& device, GradientStore<E, S, C, D>& gradients,
                       Exchange<C, D>& exchange, double loss, std::int64_t tokens) {
    const std::size_t buckets = layout.buckets().size();
    const std::span<double> told = exchange.mine();
    gradients.typed([&](auto tag) {
        using G = decltype(tag);
        for (std::size_t b = 0; b < buckets; ++b) {
            const Bucket& bucket = layout.buckets()[b];
            told[b] = bucket.trainable ? sum_of_squares<G>(device, bucket,
                                                           bucket.first_of_shard(exchange.rank()),
                                                           gradients.template shard<G>(b))
                                       : 0;
        }
    });
    told[buckets] = loss;
    told[buckets + 1] = static_cast<double>(tokens);
    exchange(StatePlan::step_doubles(layout));

    StepTotals totals;
    for (std::size_t b = 0; b < buckets; ++b)
        for (int r = 0; r < exchange.ranks(); ++r) totals.squares += exchange.of_rank(r)[b];
    for (int r = 0; r < exchange.ranks(); ++r) {
        const std::span<const double> theirs = exchange.of_rank(r).subspan(buckets);
        if (totals.bad_loss < 0 && !is_finite(theirs[0])) totals.bad_loss = r;
        totals.loss += theirs[0];
        totals.tokens += static_cast<std::int64_t>(theirs[1]);
    }
    totals.loss /= exchange.ranks();
    return totals;
}

/// Collective: over all ranks' tokens.
template <Communicator C, Device D>
Loss total_loss(Exchange<C, D>& exchange, Loss mine) {
    exchange.mine()[0] = mine.sum;
    exchange.mine()[1] = static_cast<double>(mine.tokens);
    exchange(2);
    double sum = 0, tokens = 0;
    for (int r = 0; r < exchange.ranks(); ++r) {
        sum += exchange.of_rank(r)[0];
        tokens += exchange.of_rank(r)[1];
    }
    return {.sum = sum, .tokens = static_cast<std::int64_t>(tokens)};
}

}  // namespace zeropp
