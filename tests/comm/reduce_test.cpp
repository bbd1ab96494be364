// SPDX-License-Identifier: Apache-2.0
/// \file The element that a GPU reduces is the host's, bit for bit.
#include <cstring>
#include <vector>

#include <zeropp/comm/reduce.hpp>
#include <zeropp/core/rng.hpp>
#include <zeropp/device/for_each.hpp>

#include "support/catch.hpp"

using namespace zeropp;

namespace {

template <Element E, Element G>
void element_is_the_blocks(int ranks, std::size_t count) {
    std::vector<std::vector<E>> sources(static_cast<std::size_t>(ranks), std::vector<E>(count));
    for (std::size_t r = 0; r < sources.size(); ++r)
        for (std::size_t i = 0; i < count; ++i) sources[r][i] = static_cast<E>(normal_at(3, r, i));
    std::vector<G> in_blocks(count), by_element(count);
    reduce_in_rank_order<E, G>(
        ranks, [&](int r) { return sources[static_cast<std::size_t>(r)].data(); },
        std::span{in_blocks});
    ReduceElement<E, G> body{};
    for (std::size_t r = 0; r < sources.size(); ++r) body.from[r] = sources[r].data();
    body.ranks = ranks;
    body.share = 1.0f / static_cast<float>(ranks);
    body.out = by_element.data();
    for_each_element(Host{}, count, body);
    CHECK(std::memcmp(in_blocks.data(), by_element.data(), count * sizeof(G)) == 0);
}

}  // namespace

TEST_CASE("one element's mean over ranks is that of whole blocks", "[law]") {
    for (const int ranks : {1, 2, 3, 8})
        for (const std::size_t count : {1, 64, 1000}) {
            element_is_the_blocks<float, float>(ranks, count);
            element_is_the_blocks<Bf16, Bf16>(ranks, count);
            element_is_the_blocks<Bf16, float>(ranks, count);
            element_is_the_blocks<Half, Half>(ranks, count);
        }
}
