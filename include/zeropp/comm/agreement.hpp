// SPDX-License-Identifier: Apache-2.0
/// \file Ranks compare what they were told before they start.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <zeropp/comm/concepts.hpp>
#include <zeropp/core/error.hpp>
#include <zeropp/core/fingerprint.hpp>

namespace zeropp {

/// Collective. Everybody's text, by rank.
template <Communicator C>
std::vector<std::string> gather_texts(C& comm, const std::string& text) {
    const auto world = static_cast<std::size_t>(comm.size());
    const std::uint64_t mine = text.size();
    std::vector<std::uint64_t> sizes(world);
    comm.all_gather(std::as_bytes(std::span{&mine, 1}), std::as_writable_bytes(std::span{sizes}))
        .wait();
    const std::size_t longest = *std::max_element(sizes.begin(), sizes.end());
    std::string padded = text;
    padded.resize(longest + 1);
    std::string all(padded.size() * world, '\0');
    comm.all_gather(std::as_bytes(std::span<const char>{padded}),
                    std::as_writable_bytes(std::span<char>{all}))
        .wait();
    std::vector<std::string> texts;
    for (std::size_t r = 0; r < world; ++r)
        texts.push_back(all.substr(r * padded.size(), sizes[r]));
    return texts;
}

/// Collective. Sends 8 bytes a peer if all agree; otherwise every rank throws one error that names
/// the first field that differs, with rank 0's value and the first other one.
template <Communicator C>
void require_agreement(C& comm, const Fingerprint& mine) {
    const std::uint64_t hash = mine.hash();
    std::vector<std::uint64_t> hashes(static_cast<std::size_t>(comm.size()));
    comm.all_gather(std::as_bytes(std::span{&hash, 1}), std::as_writable_bytes(std::span{hashes}))
        .wait();
    if (std::all_of(hashes.begin(), hashes.end(),
                    [&](std::uint64_t other) { return other == hash; }))
        return;

    std::string text;
    for (const auto& [name, value] : mine.fields) text += name + '\x1f' + value + '\x1e';
    const std::vector<std::string> texts = gather_texts(comm, text);
    const auto field = [](const std::string& all, std::size_t at) {
        const std::size_t end = std::min(all.find('\x1e', at), all.size());
        const std::size_t middle = std::min(all.find('\x1f', at), end);
        return std::pair{all.substr(at, middle - at),
                         middle < end ? all.substr(middle + 1, end - middle - 1) : std::string{}};
    };
    for (std::size_t r = 1; r < texts.size(); ++r) {
        if (texts[r] == texts[0]) continue;
        std::size_t at = 0;  // begin of the first field that differs
        const std::size_t shorter = std::min(texts[0].size(), texts[r].size());
        for (std::size_t i = 0; i < shorter && texts[0][i] == texts[r][i]; ++i)
            if (texts[0][i] == '\x1e') at = i + 1;
        const auto [name, value] = field(texts[0], at);
        const auto [other_name, other_value] = field(texts[r], at);
        if (name != other_name)
            fail(Errc::config, "start-up: rank 0 has '", name, "' where rank ", r, " has '",
                 other_name, "', expected the same on every rank");
        fail(Errc::config, "start-up: ", name, " is ", value, " on rank 0 and ", other_value,
             " on rank ", r, ", expected the same on every rank");
    }
}

}  // namespace zeropp
