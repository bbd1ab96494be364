// SPDX-License-Identifier: Apache-2.0
/// \file The batch that divides among most numbers of ranks, as DeepSpeed's elasticity chooses it
/// (elasticity/elasticity.py, versions 0.1 and 0.2).
#pragma once

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <string>
#include <vector>

#include <zeropp/core/error.hpp>
#include <zeropp/io/config.hpp>
#include <zeropp/io/settings.hpp>

namespace zeropp {

struct ElasticBatch {
    std::int64_t train = 0;
    std::vector<std::int64_t> ranks;  ///< that it divides among, ascending
};

namespace detail {

/// Highly composite numbers: more divisors than any smaller one has.
inline constexpr std::int64_t highly_composite[] = {
    1,      2,      4,      6,      12,     24,     36,     48,    60,    120,
    180,    240,    360,    720,    840,    1260,   1680,   2520,  5040,  7560,
    10080,  15120,  20160,  25200,  27720,  45360,  50400,  55440, 83160, 110880,
    166320, 221760, 277200, 332640, 498960, 554400, 665280, 720720};

inline std::vector<std::int64_t> ranks_dividing(std::int64_t train,
                                                const std::vector<std::int64_t>& micro,
                                                std::int64_t least, std::int64_t most) {
    std::vector<std::int64_t> ranks;
    for (const std::int64_t each : micro) {
        if (train % each != 0) continue;
        const std::int64_t parts = train / each;
        for (std::int64_t w = 1; w * w <= parts; ++w)
            if (parts % w == 0)
                for (const std::int64_t divisor : {w, parts / w})
                    if (least <= divisor && divisor <= most) ranks.push_back(divisor);
    }
    std::sort(ranks.begin(), ranks.end());
    ranks.erase(std::unique(ranks.begin(), ranks.end()), ranks.end());
    return ranks;
}

}  // namespace detail

/// Of the batches up to `largest`, each a multiple of one of `micro` or of all of them, the one
/// that divides among most numbers of ranks.
inline ElasticBatch elastic_batch(const std::vector<std::int64_t>& micro, std::int64_t largest,
                                  std::int64_t least_ranks, std::int64_t most_ranks,
                                  bool prefer_larger = true) {
    require(1 <= largest && largest <= 1'000'000'000, Errc::config,
            "elastic_batch: the largest batch is ", largest, ", expected 1 to 1000000000");
    for (const std::int64_t each : micro)
        require(1 <= each && each <= largest, Errc::config, "elastic_batch: a micro-batch is ",
                each, ", expected 1 to ", largest);
    std::int64_t multiple = 1;
    for (const std::int64_t each : micro)
        multiple = multiple > largest ? multiple : std::lcm(multiple, each);
    std::vector<std::int64_t> bases = micro;
    bases.push_back(multiple);
    ElasticBatch best;
    for (const std::int64_t base : bases) {
        if (base > largest) continue;  // their multiple may be
        std::int64_t factor = 1;
        for (const std::int64_t number : detail::highly_composite)
            if (number <= largest / base) factor = number;
        const std::int64_t train = base * factor;
        std::vector<std::int64_t> ranks =
            detail::ranks_dividing(train, micro, least_ranks, most_ranks);
        const bool better = prefer_larger ? train > best.train : train < best.train;
        if (ranks.size() > best.ranks.size() || (ranks.size() == best.ranks.size() && better))
            best = {train, std::move(ranks)};
    }
    return best;
}

/// The batch sizes that the file's elasticity gives on so many ranks.
inline BatchSizes elastic_batch_sizes(const Config& config, std::int64_t ranks) {
    const Config::Elasticity& elastic = config.elasticity;
    const std::string where = config.name + ": elasticity.";
    require(elastic.max_train_batch_size.given(), Errc::config, where,
            "max_train_batch_size is missing, expected 1 to 1000000000");
    require(!elastic.micro_batch_sizes.empty(), Errc::config, where,
            "micro_batch_sizes is missing, expected a list of integers");
    const std::int64_t least_ranks = elastic.min_gpus.value_or(1),
                       most_ranks = elastic.max_gpus.value_or(10'000);
    require(least_ranks <= most_ranks, Errc::config, where, "min_gpus is ", least_ranks,
            ", expected at most max_gpus, which is ", most_ranks);
    if (!elastic.ignore_non_elastic_batch_info.value_or(false))
        for (const auto* setting :
             {&config.train_batch_size, &config.train_micro_batch_size_per_gpu,
              &config.gradient_accumulation_steps})
            require(!setting->given(), Errc::config, setting->origin, " is ", setting->value_or(0),
                    ", expected none: elasticity.enabled is true and decides "
                    "it; or set elasticity.ignore_non_elastic_batch_info");
    const double version = elastic.version.value_or(0.2);
    require(version == 0.1 || version == 0.2, Errc::config, where, "version is ", version,
            ", expected 0.1 or 0.2");
    const bool larger = elastic.prefer_larger_batch.value_or(true);
    const std::int64_t largest = *elastic.max_train_batch_size.value;
    const std::int64_t node = version == 0.1 ? 1 : elastic.num_gpus_per_node.value_or(1);
    require(largest >= node, Errc::config, where, "max_train_batch_size is ", largest,
            ", expected at least num_gpus_per_node, which is ", node);
    for (const std::int64_t micro : elastic.micro_batch_sizes)
        require(micro <= largest / node, Errc::config, where, "micro_batch_sizes has ", micro,
                ", expected at most ", largest / node, ", max_train_batch_size",
                node == 1 ? "" : " / num_gpus_per_node");
    // Fewer ranks than a node has are no limit, as in DeepSpeed.
    ElasticBatch batch =
        elastic_batch(elastic.micro_batch_sizes, largest / node, least_ranks / node,
                      most_ranks < node ? largest : most_ranks / node, larger);
    batch.train *= node;
    for (std::int64_t& count : batch.ranks) count *= node;

    const bool fits = std::binary_search(batch.ranks.begin(), batch.ranks.end(), ranks);
    if (!fits && version == 0.2) {
        batch.train = 0;
        for (const std::int64_t micro : elastic.micro_batch_sizes) {
            const std::int64_t train = largest / (micro * ranks) * (micro * ranks);
            if (train > 0 &&
                (batch.train == 0 || (larger ? train > batch.train : train < batch.train)))
                batch.train = train;
        }
    }
    const std::string on = " on " + std::to_string(ranks) + (ranks == 1 ? " rank" : " ranks");
    require(batch.train > 0, Errc::config, config.name, ": elasticity gives no batch", on,
            ", expected one micro-batch a rank to be at most max_train_batch_size, which is ",
            largest);
    std::string counts;
    constexpr std::size_t shown = 12;
    for (std::size_t i = 0; i < std::min(shown, batch.ranks.size()); ++i)
        counts += (i == 0 ? "one of " : ", ") + std::to_string(batch.ranks[i]);
    counts += batch.ranks.size() > shown ? " ... ranks" : " ranks";
    if (batch.ranks.empty())
        counts = "none of them: no number of ranks from " + std::to_string(least_ranks) + " to " +
                 std::to_string(most_ranks) + " divides it";
    require(fits || version == 0.2, Errc::config, config.name, ": elasticity gives batches of ",
            batch.train, on, ", expected ", counts);
    std::int64_t chosen = 0;
    for (const std::int64_t micro : elastic.micro_batch_sizes)
        if (batch.train / ranks % micro == 0) chosen = std::max(chosen, micro);
    require(chosen != 0, Errc::config, config.name, ": elasticity gives ", batch.train / ranks,
            " examples a rank, expected a multiple of one of micro_batch_sizes");
    return {batch.train, chosen, batch.train / (ranks * chosen)};
}

}  // namespace zeropp
