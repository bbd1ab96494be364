// SPDX-License-Identifier: Apache-2.0
/// \file T5's tokenizer: a SentencePiece model and Hugging Face's rules about it.
#pragma once

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <sentencepiece_processor.h>

#include <zeropp/core/error.hpp>
#include <zeropp/data/input.hpp>

namespace zeropp {

/// Ids: `<pad>` 0, `</s>` 1, `<unk>` 2, the model's pieces, then `<extra_id_99>` ...
/// `<extra_id_0>`. Encoding is as T5Tokenizer(legacy=True): the special tokens that the text spells
/// are cut out first, and each part between them is encoded on its own. Const members may run
/// concurrently.
class Tokenizer {
public:
    static constexpr std::int32_t pad = 0, end = 1, unknown = 2, extra_ids = 100;

    /// A directory that holds a spiece.model, or the file itself.
    explicit Tokenizer(const std::filesystem::path& path) {
        std::filesystem::path file = path;
        if (std::filesystem::is_directory(path)) {
            file = path / "spiece.model";
            require(
                std::filesystem::exists(file) || !std::filesystem::exists(path / "tokenizer.json"),
                Errc::io, path.string(),
                ": holds tokenizer.json but no spiece.model, expected spiece.model; reading "
                "tokenizer.json comes in a later version, until then copy spiece.model from "
                "the model that this one was made from");
        }
        model_ = read_text(file, "a SentencePiece model");
        load(file.string());
    }
    /// `model`: the bytes of a spiece.model; `name` stands for it in errors.
    Tokenizer(std::string model, const std::string& name) : model_{std::move(model)} { load(name); }

    /// Pieces and extra ids: 32,100 for T5's own, whose embedding has 32,128 rows.
    std::int32_t size() const { return pieces_ + extra_ids; }
    /// The k-th sentinel of span corruption, 0 <= k < extra_ids.
    std::int32_t extra_id(std::int32_t k) const { return pieces_ + extra_ids - 1 - k; }
    /// The bytes of spiece.model.
    const std::string& model() const { return model_; }

    /// Without `</s>`.
    std::vector<std::int32_t> encode(std::string_view text) const {
        std::vector<std::int32_t> ids;
        std::size_t begin = 0;
        for (std::size_t at = text.find('<'); at != text.npos; at = text.find('<', at)) {
            const auto [length, id] = special_at(text.substr(at));
            if (length == 0) {
                ++at;
                continue;
            }
            append(text.substr(begin, at - begin), ids);
            ids.push_back(id);
            begin = at += length;
        }
        append(text.substr(begin), ids);
        return ids;
    }
    /// With `</s>`, at most `longest` ids: the text is cut, `</s>` is not. longest >= 1.
    std::vector<std::int32_t> encode(std::string_view text, std::size_t longest) const {
        require(longest >= 1, Errc::config, "Tokenizer::encode: length 0, expected at least 1");
        std::vector<std::int32_t> ids = encode(text);
        ids.resize(std::min(ids.size(), longest - 1));
        ids.push_back(end);
        return ids;
    }

    /// Special tokens, and ids that the tokenizer does not have, say nothing. The blank that
    /// encoding put before the text goes, other blanks stay.
    std::string decode(std::span<const std::int32_t> ids) const {
        constexpr std::string_view blank = "\u2581";
        std::string text;
        bool first = true;
        for (const std::int32_t id : ids) {
            if (id <= unknown || id >= pieces_) continue;
            std::string_view piece = processor_->IdToPiece(id);
            for (std::size_t at; (at = piece.find(blank)) != piece.npos;) {
                text += piece.substr(0, at);
                if (!first) text += ' ';
                piece.remove_prefix(at + blank.size());
            }
            text += piece;
            first = false;
        }
        return text;
    }

    /// spiece.model and the two small files with which transformers knows what it is: names, bytes.
    std::vector<std::pair<std::string, std::string>> files() const {
        std::string extra;
        for (std::int32_t k = 0; k < extra_ids; ++k)
            extra += (k == 0 ? "\"<extra_id_" : ", \"<extra_id_") + std::to_string(k) + ">\"";
        const std::string tokens = "  \"additional_special_tokens\": [" + extra +
                                   "],\n  \"eos_token\": \"</s>\",\n  \"pad_token\": \"<pad>\",\n"
                                   "  \"unk_token\": \"<unk>\"";
        return {{"spiece.model", model_},
                {"special_tokens_map.json", "{\n" + tokens + "\n}\n"},
                {"tokenizer_config.json",
                 "{\n" + tokens + ",\n  \"extra_ids\": " + std::to_string(extra_ids) +
                     ",\n  \"legacy\": true,\n  \"model_max_length\": 512,\n"
                     "  \"tokenizer_class\": \"T5Tokenizer\"\n}\n"}};
    }

private:
    void load(const std::string& name) {
        processor_ = std::make_unique<sentencepiece::SentencePieceProcessor>();
        const auto status = processor_->LoadFromSerializedProto(model_);
        require(!model_.empty() && status.ok(), Errc::io, name,
                ": cannot be read as a SentencePiece model, expected the whole of one");
        pieces_ = processor_->GetPieceSize();
        const auto at = [&](std::int32_t id) {
            return id < pieces_ ? processor_->IdToPiece(id) : std::string{};
        };
        require(at(pad) == "<pad>" && at(end) == "</s>" && processor_->unk_id() == unknown,
                Errc::config, name, ": pieces 0, 1, 2 are '", at(pad), "', '", at(end), "', '",
                at(unknown), "', expected <pad>, </s> and the unknown piece, as T5 has them");
        for (std::int32_t id = 0; id < pieces_; ++id)
            require(!processor_->IsByte(id), Errc::config, name, ": piece ", id,
                    " stands for a byte, expected a model without byte fallback, as T5's");
    }

    void append(std::string_view part, std::vector<std::int32_t>& ids) const {
        if (part.empty()) return;
        std::vector<int> found;
        const auto status = processor_->Encode({part.data(), part.size()}, &found);
        require(status.ok(), Errc::config, "Tokenizer::encode: ", status.ToString(),
                ", expected text that SentencePiece encodes");
        ids.insert(ids.end(), found.begin(), found.end());
    }

    /// Length and id of the special token that `text` begins with; length 0 if there is none.
    std::pair<std::size_t, std::int32_t> special_at(std::string_view text) const {
        constexpr std::string_view extra = "<extra_id_";
        if (text.starts_with("<pad>")) return {5, pad};
        if (text.starts_with("</s>")) return {4, end};
        if (text.starts_with("<unk>")) return {5, unknown};
        if (!text.starts_with(extra)) return {0, 0};
        const std::string_view digits = text.substr(extra.size(), text.find('>') - extra.size());
        std::int32_t k = 0;
        const auto [stop, error] = std::from_chars(digits.data(), digits.data() + digits.size(), k);
        const bool known = text.find('>') != text.npos && error == std::errc{} && k >= 0 &&
                           k < extra_ids && digits == std::to_string(k);
        return known ? std::pair{extra.size() + digits.size() + 1, extra_id(k)}
                     : std::pair{std::size_t{0}, std::int32_t{0}};
    }

    std::string model_;
    std::unique_ptr<sentencepiece::SentencePieceProcessor> processor_;
    std::int32_t pieces_ = 0;
};

}  // namespace zeropp
