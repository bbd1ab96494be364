// SPDX-License-Identifier: Apache-2.0
/// \file The sizes of known T5 models.
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include <zeropp/core/error.hpp>
#include <zeropp/format/t5_config.hpp>

namespace zeropp {

/// The models of Raffel et al. (t5-*), of their second generation (t5-v1_1-*), and flan-t5-*.
inline T5Config t5_preset(std::string_view name) {
    struct Sizes {
        std::string_view size;
        std::size_t d_model, d_kv, d_ff, layers, heads;
    };
    static constexpr std::array<Sizes, 5> first{{{"small", 512, 64, 2048, 6, 8},
                                                 {"base", 768, 64, 3072, 12, 12},
                                                 {"large", 1024, 64, 4096, 24, 16},
                                                 {"3b", 1024, 128, 16384, 24, 32},
                                                 {"11b", 1024, 128, 65536, 24, 128}}};
    static constexpr std::array<Sizes, 5> second{{{"small", 512, 64, 1024, 8, 6},
                                                  {"base", 768, 64, 2048, 12, 12},
                                                  {"large", 1024, 64, 2816, 24, 16},
                                                  {"xl", 2048, 64, 5120, 24, 32},
                                                  {"xxl", 4096, 64, 10240, 24, 64}}};
    std::string known;
    const auto look = [&](std::string_view family, const auto& sizes) -> std::optional<T5Config> {
        for (const Sizes& one : sizes) {
            const std::string full = std::string{family} + std::string{one.size};
            known += (known.empty() ? "" : ", ") + full;
            if (full != name) continue;
            T5Config config;
            config.d_model = one.d_model;
            config.d_kv = one.d_kv;
            config.d_ff = one.d_ff;
            config.num_layers = config.num_decoder_layers = one.layers;
            config.num_heads = one.heads;
            if (&sizes == &second) {
                config.feed_forward_proj = T5Config::FeedForward::gated_gelu;
                config.tie_word_embeddings = config.scale_decoder_outputs = false;
            }
            return config;
        }
        return {};
    };
    if (const auto found = look("t5-", first)) return *found;
    if (const auto found = look("t5-v1_1-", second)) return *found;
    if (const auto found = look("flan-t5-", second)) return *found;
    fail(Errc::config, "model '", name, "' is unknown, expected one of ", known,
         ", or a config.json");
}

}  // namespace zeropp
