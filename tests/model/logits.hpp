// SPDX-License-Identifier: Apache-2.0
/// \file A T5's logits for a batch's labels, as transformers gives them beside the loss.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include <zeropp/core/labels.hpp>
#include <zeropp/model/loaded_weights.hpp>
#include <zeropp/model/t5.hpp>

namespace zeropp::testing {

template <Element E>
std::vector<float> logits_of(T5<E>& model, const Seq2SeqBatch& batch) {
    LoadedWeights weights{model};
    std::vector<std::int32_t> ids;
    for (std::size_t row = 0; row < batch.size; ++row)
        for (std::size_t at = 0; at < batch.target_length; ++at) {
            const std::int32_t before =
                at == 0 ? 0 : batch.labels[row * batch.target_length + at - 1];
            ids.push_back(before == ignored_label ? 0 : before);
        }
    Arena<Host> arena{"test", std::size_t{1} << 24};
    auto& tape = model.tape();
    tape.start(arena, Units<E>{weights}, {.gradients = false});
    typename T5<E>::Pass pass{tape, model.layout(), 0};
    tape.enter(model.layout().shared().unit);
    const auto encoded = pass.encode(batch.source_ids, batch.source_mask, batch.size);
    const auto logits = pass.logits(pass.decode(ids, encoded, batch.source_mask));
    tape.leave(model.layout().shared().unit);
    const auto elements = logits.tensor().elements();
    return {elements.begin(), elements.end()};
}

}  // namespace zeropp::testing
