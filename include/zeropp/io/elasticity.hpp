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
    std::int64_t multiple = 1;
    for (const std::int64_t each : micro)
        multiple = multiple > largest ? multiple : std::lcm(multiple, each);
    std::vector<std::int64_t> bases = micro;
    bases.push_back(multiple);
    ElasticBatch best;
    for (const std::int64_t base : bases) {
        if (base > largest) continue;
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
            "max_train_batch_size is missing, expected an integer from 1");
    require(!elastic.micro_batch_sizes.empty(), Errc::config, where,
            "micro_batch_sizes is missing, expected a list of integers");
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
    constexpr std::int64_t largest_of_all = 1'000'000'000, most_micro = 32;
    require(largest <= largest_of_all, Errc::config, where, "max_train_batch_size is ", largest,
            ", expected 1 to ", largest_of_all);
    const std::vector<std::int64_t>& micro_sizes = elastic.micro_batch_sizes;
    require(micro_sizes.size() <= most_micro, Errc::config, where, "micro_batch_sizes has ",
            micro_sizes.size(), " sizes, expected at most ", most_micro);
    const std::int64_t node = version == 0.1 ? 1 : elastic.num_gpus_per_node.value_or(1);
    const std::int64_t largest_micro = *std::max_element(micro_sizes.begin(), micro_sizes.end());
    require(largest_micro <= largest / node, Errc::config, where, "micro_batch_sizes has ",
            largest_micro, ", expected at most ", largest / node, ": max_train_batch_size",
            node == 1 ? "" : " / num_gpus_per_node");
    const std::int64_t least_ranks = elastic.min_gpus.value_or(1);
    std::int64_t most_ranks = elastic.max_gpus.value_or(10'000);
    require(least_ranks <= most_ranks, Errc::config, where, "min_gpus is ", least_ranks,
            ", expected at most max_gpus, which is ", most_ranks);
    most_ranks = most_ranks < node ? largest : most_ranks / node;  // as DeepSpeed reads 0 nodes
    ElasticBatch batch =
        elastic_batch(micro_sizes, largest / node, least_ranks / node, most_ranks, larger);
    batch.train *= node;
    for (std::int64_t& count : batch.ranks) count *= node;

    const bool fits = std::binary_search(batch.ranks.begin(), batch.ranks.end(), ranks);
    if (!fits && version == 0.2) {
        batch.train = 0;
        for (const std::int64_t micro : micro_sizes) {
            const std::int64_t train = largest / (micro * ranks) * (micro * ranks);
            if (train > 0 &&
                (batch.train == 0 || (larger ? train > batch.train : train < batch.train)))
                batch.train = train;
        }
    }
    std::string counts;
    constexpr std::size_t shown = 12;
    for (std::size_t i = 0; i < std::min(shown, batch.ranks.size()); ++i)
        counts += (i == 0 ? "" : ", ") + std::to_string(batch.ranks[i]);
    if (batch.ranks.size() > shown) counts += " ...";
    require((fits || version == 0.2) && batch.train > 0, Errc::config, config.name,
            ": elasticity gives batches of ", batch.train, " on ", ranks,
            ranks == 1 ? " rank" : " ranks", ", expected one of ", counts.empty() ? "none" : counts,
            " ranks");
    std::int64_t chosen = 0;
    for (const std::int64_t micro : micro_sizes)
        if (batch.train / ranks % micro == 0) chosen = std::max(chosen, micro);
    require(chosen != 0, Errc::config, config.name, ": elasticity gives ", batch.train / ranks,
            " examples a rank, expected a multiple of one of micro_batch_sizes");
    return {batch.train, chosen, batch.train / (ranks * chosen)};
}

}  // namespace zeropp
