// SPDX-License-Identifier: Apache-2.0
/// \file `save_pretrained`: a T5 as a Hugging Face directory, that of a trainer or a new one.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <zeropp/core/error.hpp>
#include <zeropp/format/file.hpp>
#include <zeropp/format/json.hpp>
#include <zeropp/format/safetensors_writer.hpp>
#include <zeropp/format/t5_config.hpp>
#include <zeropp/model/concepts.hpp>
#include <zeropp/model/t5.hpp>
#include <zeropp/trainer.hpp>

namespace zeropp {

/// Files of a tokenizer: names within the directory, contents.
using TokenizerFiles = std::vector<std::pair<std::string, std::string>>;

namespace detail {

inline constexpr std::array tokenizer_file_names{"spiece.model", "tokenizer.json",
                                                 "tokenizer_config.json", "special_tokens_map.json",
                                                 "added_tokens.json"};

/// A model directory's tokenizer; none of an empty path.
inline TokenizerFiles tokenizer_files(const std::filesystem::path& directory) {
    TokenizerFiles files;
    std::error_code error;
    if (!directory.empty())
        for (const char* name : tokenizer_file_names)
            if (std::filesystem::exists(directory / name, error))
                files.emplace_back(name, read_text(directory / name));
    return files;
}

/// A model directory on its way. One that is new is written as `folder`.partial1 and renamed; in
/// one that is there each file is written under a temporary name until `publish`. What is not
/// published is removed again.
class PretrainedFiles {
public:
    /// `source`: the directory that the model came from, or none.
    PretrainedFiles(const std::filesystem::path& folder, const T5Config& config,
                    const std::vector<Unit>& units, const std::filesystem::path& source,
                    const TokenizerFiles& tokenizer)
        : place_{folder} {
        std::vector<SafetensorsWriter::Entry> entries;
        for (const Unit& unit : units)
            for (const Parameter& parameter : unit.parameters)
                entries.push_back({parameter.name, parameter.shape});
        weights_ = std::make_unique<SafetensorsWriter>(place_.written() / "model.safetensors",
                                                       std::move(entries));
        const auto carried = [&](const char* name) {
            return source.empty() ? Json::object() : read_json_object_if_any(source / name);
        };
        add("config.json", config_json(config, carried("config.json")));
        add("generation_config.json",
            generation_config_json(config, carried("generation_config.json")));
        for (const auto& [name, bytes] : tokenizer) add(name, bytes);
    }
    void append(const Parameter& parameter, std::span<const float> values) {
        weights_->append(parameter.name, values);
    }
    /// The weights last: a directory with weights is whole.
    void publish() {
        weights_->sync();
        for (NewFile& file : files_) file.sync();
        for (NewFile& file : files_) file.publish();
        weights_->publish();
        remove_others();
        place_.publish();
    }

private:
    /// Where the files go. Declared before them, and so destroyed after them.
    class Place {
    public:
        explicit Place(std::filesystem::path folder) : folder_{std::move(folder)} {
            folder_ = folder_.lexically_normal();
            if (folder_.filename().empty()) folder_ = folder_.parent_path();  // "out/"
            std::error_code error;
            if (std::filesystem::is_directory(folder_, error)) {
                written_ = folder_;
                return;
            }
            require(!std::filesystem::exists(folder_, error), Errc::io, folder_.string(),
                    ": is a file, expected a directory or nothing");
            const std::filesystem::path above = std::filesystem::absolute(folder_).parent_path();
            error.clear();
            std::filesystem::create_directories(above, error);
            // A process that was killed may have left its own.
            for (int number = 1; !error && !is_new_; ++number) {
                written_ = folder_.string() + ".partial" + std::to_string(number);
                is_new_ = std::filesystem::create_directory(written_, error);
            }
            require(!error, Errc::io, folder_.string(), ": ", error.message(),
                    ", expected a directory that can be made");
        }
        Place(const Place&) = delete;
        Place& operator=(const Place&) = delete;
        ~Place() {
            std::error_code error;
            if (is_new_) std::filesystem::remove(written_, error);  // if nothing is in it
        }
        const std::filesystem::path& written() const noexcept { return written_; }
        void publish() {
            sync_folder(written_);
            if (!is_new_) return;
            std::error_code error;
            std::filesystem::rename(written_, folder_, error);
            require(!error, Errc::io, folder_.string(), ": ", error.message(), ", expected ",
                    written_.string(), ", where the model is, to become it");
            is_new_ = false;
            sync_folder(std::filesystem::absolute(folder_).parent_path());
        }

    private:
        std::filesystem::path folder_, written_;
        bool is_new_ = false;
    };
    /// What an earlier model left there that would be read beside this one: its shards, and its
    /// tokenizer where this model brings one.
    void remove_others() const {
        const auto is_written = [&](const std::filesystem::path& path) {
            return std::any_of(files_.begin(), files_.end(),
                               [&](const NewFile& file) { return file.path() == path; });
        };
        std::error_code error;
        if (is_written(place_.written() / tokenizer_file_names[0]))
            for (const char* name : tokenizer_file_names)
                if (!is_written(place_.written() / name))
                    std::filesystem::remove(place_.written() / name, error);
        std::vector<std::filesystem::path> shards{place_.written() /
                                                  "model.safetensors.index.json"};
        for (const auto& file : std::filesystem::directory_iterator{place_.written(), error})
            if (const std::string name = file.path().filename().string();
                name.starts_with("model-") && name.ends_with(".safetensors") &&
                name.find("-of-") != name.npos)
                shards.push_back(file.path());
        for (const std::filesystem::path& shard : shards) std::filesystem::remove(shard, error);
    }
    void add(const std::string& name, const std::string& text) {
        files_.emplace_back(place_.written() / name);
        files_.back().write(text);
    }

    Place place_;
    std::vector<NewFile> files_;
    std::unique_ptr<SafetensorsWriter> weights_;
};

}  // namespace detail

/// Collective: sends rank 0 the fp32 master as `for_each_weight` does; rank 0 writes config.json
/// and generation_config.json with every key of the directory that the model came from,
/// model.safetensors, and that directory's tokenizer files. Where there is no room for all of it
/// nothing changes; a machine that stops within the renames at the end leaves the old weights
/// beside newer small files.
template <Element E, class D, class P, class C, class... Policies>
void save_pretrained(Trainer<T5<E, D, P>, C, Policies...>& trainer,
                     const std::filesystem::path& folder) {
    const T5<E, D, P>& model = trainer.model();
    std::unique_ptr<detail::PretrainedFiles> files;
    if (trainer.comm().rank() == 0)
        files = std::make_unique<detail::PretrainedFiles>(
            folder, model.config(), model.units(), model.directory(),
            detail::tokenizer_files(model.directory()));
    trainer.for_each_weight(
        [&](const Parameter& parameter, std::size_t, std::span<const float> values) {
            files->append(parameter, values);
        });
    if (files != nullptr) files->publish();
    trainer.comm().barrier();
}

/// The same for the values that the model starts from, in this process alone, with a tokenizer.
template <Element E, class D, class P>
void save_pretrained(const T5<E, D, P>& model, const std::filesystem::path& folder,
                     const TokenizerFiles& tokenizer) {
    const std::vector<Unit> units = model.units();
    detail::PretrainedFiles files{folder, model.config(), units, model.directory(), tokenizer};
    std::array<float, 4096> values;
    for (std::size_t u = 0; u < units.size(); ++u)
        for (std::size_t p = 0; p < units[u].parameters.size(); ++p) {
            const Parameter& parameter = units[u].parameters[p];
            for (std::size_t first = 0; first < parameter.size(); first += values.size()) {
                const std::span<float> chunk =
                    std::span{values}.first(std::min(values.size(), parameter.size() - first));
                model.fill(u, p, first, chunk);
                require_finite(parameter, first, chunk);
                files.append(parameter, chunk);
            }
        }
    files.publish();
}

template <Element E, class D, class P>
void save_pretrained(const T5<E, D, P>& model, const std::filesystem::path& folder) {
    save_pretrained(model, folder, detail::tokenizer_files(model.directory()));
}

}  // namespace zeropp
