// SPDX-License-Identifier: Apache-2.0
/// \file The head of a language model and its loss, together.
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>

#include <zeropp/core/labels.hpp>
#include <zeropp/tensor/host/cross_entropy.hpp>
#include <zeropp/tensor/host/elementwise.hpp>
#include <zeropp/tensor/host/rows.hpp>
#include <zeropp/tensor/tape.hpp>

namespace zeropp {

struct CrossEntropyOptions {
    float scale = 1;  ///< of x before the product: d_model^-0.5 for a tied head
    std::size_t logits_bytes = std::size_t{64} << 20;  ///< of logits at a time, at most
};

namespace detail {

/// The weight's gradient, from blocks of rows. In 16 bits the products of several blocks, each
/// rounded, are summed in fp32: 4 bytes an element of the weight more memory, where the labels take
/// more than one block.
template <Scalar E, Device D, class P>
class HeadGradient {
public:
    HeadGradient(Tape<E, D, P>& tape, const ParameterRef& weight, bool several)
        : tape_{tape}, vocabulary_{weight.shape[0]}, width_{weight.shape[1]} {
        if (!tape.records()) return;
        into_ = tape.contribute(weight);
        if (std::same_as<E, Wide<E>> || !several) return;
        sums_ = tape.template take<Wide<E>>(weight.shape.size());
        product_ = tape.template take<E>(std::min(vocabulary_, rows_at_once) * width_);
    }
    /// Rows of `in` [count, width] and what the logits became.
    void add(const E* logits, const E* in, std::size_t count) {
        if (!into_) return;
        if (sums_ == nullptr) {
            product(logits, in, vocabulary_, count, into_);
            into_.add = true;
            return;
        }
        if (into_.add && !summed_)
            add_widened(tape_.device(), vocabulary_ * width_, into_.data, {sums_});
        for (std::size_t first = 0; first < vocabulary_; first += rows_at_once) {
            const std::size_t rows = std::min(rows_at_once, vocabulary_ - first);
            product(logits + first, in, rows, count, {product_});
            add_widened<E>(tape_.device(), rows * width_, product_,
                           {sums_ + first * width_, into_.add});
        }
        into_.add = summed_ = true;
    }
    void finish() {
        if (!into_) return;
        if (summed_)
            round_elements<E>(tape_.device(), vocabulary_ * width_, sums_, into_.data);
        else if (!into_.add)
            fill_zero(tape_.device(), into_.data, vocabulary_ * width_);
    }

private:
    static constexpr std::size_t rows_at_once = 1024;  // of the weight

    void product(const E* logits, const E* in, std::size_t rows, std::size_t count,
                 Gradient<E> out) {
        tape_.products().gemm(Transpose::yes, Transpose::no, rows, width_, count, 1.0f, logits,
                              vocabulary_, in, width_, out.add ? 1.0f : 0.0f, out.data, width_);
    }

    Tape<E, D, P>& tape_;
    std::size_t vocabulary_, width_;
    Gradient<E> into_;
    Wide<E>* sums_ = nullptr;
    E* product_ = nullptr;
    bool summed_ = false;
};

template <Scalar E, Device D, class P>
struct CrossEntropyNode : Tape<E, D, P>::Node {
    Var<E> x;
    ParameterRef weight;
    std::span<const std::int32_t> labels;
    CrossEntropyOptions options;

    /// Loss of the rows that count and, with gradients, theirs.
    void run(Tape<E, D, P>& tape) {
        const std::size_t vocabulary = weight.shape[0], width = weight.shape[1];
        const std::size_t most = labels.size();
        const std::size_t block =
            std::clamp(options.logits_bytes / (vocabulary * sizeof(E)), std::size_t{1}, most);
        Gradient<E> dx;
        if (tape.records()) dx = tape.contribute(x);
        const std::size_t mark = tape.arena().mark();
        HeadGradient<E, D, P> dweight{tape, weight, block < most};
        auto* const counted_labels = tape.template take<std::int32_t>(block);
        auto* const rows = tape.template take<std::uint32_t>(block);
        E* const in = tape.template take<E>(block * width);
        E* const logits = tape.template take<E>(block * vocabulary);
        if (!tape.is_measuring()) {
            const auto tokens = static_cast<std::int64_t>(
                std::count_if(labels.begin(), labels.end(),
                              [](std::int32_t label) { return label != ignored_label; }));
            const Wide<E> factor =
                tape.records() && tokens != 0
                    ? static_cast<Wide<E>>(tape.loss_scale()) / static_cast<Wide<E>>(tokens)
                    : Wide<E>{0};
            if (dx && !dx.add) fill_zero(tape.device(), dx.data, x.shape().size());
            double sum = 0;
            for (std::size_t next = 0; next < most;) {
                std::size_t count = 0;
                for (; next < most && count < block; ++next) {
                    if (labels[next] == ignored_label) continue;
                    rows[count] = static_cast<std::uint32_t>(next);
                    counted_labels[count++] = labels[next];
                }
                if (count == 0) break;
                const E* const w = tape.values(weight);
                gather_scaled(tape.device(), in, x.data(), rows, count, width,
                              static_cast<Wide<E>>(options.scale));
                tape.products().gemm(Transpose::no, Transpose::yes, count, vocabulary, width, 1.0f,
                                     in, width, w, width, 0.0f, logits, vocabulary);
                sum += cross_entropy_rows(tape.device(), count, vocabulary, logits, counted_labels,
                                          factor);
                dweight.add(logits, in, count);
                if (dx) {
                    tape.products().gemm(Transpose::no, Transpose::no, count, width, vocabulary,
                                         1.0f, logits, vocabulary, w, width, 0.0f, in, width);
                    scatter_scaled(tape.device(), dx.data, in, rows, count, width,
                                   static_cast<Wide<E>>(options.scale));
                }
            }
            dweight.finish();
            tape.set_loss({tokens == 0 ? 0.0 : sum / static_cast<double>(tokens), tokens});
        }
        tape.arena().release(mark);
    }
};

}  // namespace detail

/// Mean of -log softmax(scale * x * weight^T)[label] over the rows whose label counts; weight
/// [vocabulary, width] may be the embedding's table. A run with gradients computes loss and
/// gradients together in backward, a block of rows at a time; one without computes the loss here.
/// Rows that do not count cost nothing. `labels` (one a row of x) must live until then.
template <Scalar E, Device D, class P>
void cross_entropy(Tape<E, D, P>& tape, Var<E> x, const ParameterRef& weight,
                   std::span<const std::int32_t> labels, CrossEntropyOptions options = {}) {
    require(weight.shape.rank() == 2 && weight.shape[1] == x.shape().width(), Errc::shape,
            "cross_entropy: the weight has shape ", weight.shape, ", expected [vocabulary, ",
            x.shape().width(), "]");
    require(labels.size() == x.shape().rows(), Errc::shape, "cross_entropy: ", labels.size(),
            " labels, expected ", x.shape().rows());
    if (!tape.is_measuring())
        for (const std::int32_t label : labels)
            require(label == ignored_label ||
                        (label >= 0 && static_cast<std::size_t>(label) < weight.shape[0]),
                    Errc::shape, "cross_entropy: label ", label, ", expected 0 to ",
                    weight.shape[0] - 1, " or ", ignored_label);
    detail::CrossEntropyNode<E, D, P> node{{}, x, weight, labels, options};
    if (tape.records())
        tape.record(node);
    else
        node.run(tape);
}

}  // namespace zeropp
