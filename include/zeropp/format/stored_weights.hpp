// SPDX-License-Identifier: Apache-2.0
/// \file `StoredWeights`: the tensors of a model directory, in one safetensors file or several.
#pragma once

#include <algorithm>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <zeropp/core/error.hpp>
#include <zeropp/format/json.hpp>
#include <zeropp/format/safetensors.hpp>

namespace zeropp {

/// Holds the files open; copies share them. Nothing is read before it is asked for.
class StoredWeights {
public:
    /// `folder` has model.safetensors, or model.safetensors.index.json and the files that it names.
    explicit StoredWeights(const std::filesystem::path& folder) : name_{folder.string()} {
        std::error_code error;
        require(std::filesystem::is_directory(folder, error), Errc::io, name_,
                ": is no directory, expected a model's");
        const auto single = folder / "model.safetensors",
                   index = folder / "model.safetensors.index.json";
        if (std::filesystem::exists(single, error)) {
            auto file = std::make_shared<const SafetensorsFile>(single);
            for (const StoredTensor& tensor : file->tensors()) tensors_.push_back(&tensor);
            files_.push_back(std::move(file));
        } else if (std::filesystem::exists(index, error)) {
            open_shards(folder, index);
        } else {
            const bool pickled = std::filesystem::exists(folder / "pytorch_model.bin", error);
            fail(Errc::io, name_,
                 ": has no weights, expected model.safetensors or model.safetensors.index.json",
                 pickled ? "; pytorch_model.bin is there: save it again with transformers, "
                           "safe_serialization=True"
                         : "");
        }
    }

    /// Null if there is none.
    const StoredTensor* find(std::string_view name) const {
        const auto found = std::lower_bound(
            tensors_.begin(), tensors_.end(), name,
            [](const StoredTensor* tensor, std::string_view key) { return tensor->name < key; });
        return found == tensors_.end() || (*found)->name != name ? nullptr : *found;
    }
    /// Sorted by name.
    const std::vector<const StoredTensor*>& tensors() const noexcept { return tensors_; }
    /// The directory, for messages.
    const std::string& name() const noexcept { return name_; }

private:
    void open_shards(const std::filesystem::path& folder, const std::filesystem::path& index) {
        const Json json = read_json(index);
        require(json.is_object() && json.contains("weight_map") && json["weight_map"].is_object(),
                Errc::io, index.string(), ": weight_map is missing, expected files by tensor");
        std::map<std::string, std::shared_ptr<const SafetensorsFile>> files;
        for (const auto& item : json["weight_map"].items()) {
            const std::string& tensor_name = item.key();
            const Json& value = item.value();
            require(value.is_string(), Errc::io, index.string(), ": weight_map.", tensor_name,
                    " is ", value.dump(), ", expected a file's name");
            const auto file_name = value.get<std::string>();
            require(file_name == std::filesystem::path{file_name}.filename().string() &&
                        file_name.ends_with(".safetensors"),
                    Errc::io, index.string(), ": weight_map.", tensor_name, " is ", value.dump(),
                    ", expected a safetensors file beside the index");
            auto& file = files[file_name];
            if (file == nullptr) {
                file = std::make_shared<const SafetensorsFile>(folder / file_name);
                files_.push_back(file);
            }
            const auto tensors = file->tensors();
            const auto found = std::find_if(
                tensors.begin(), tensors.end(),
                [&](const StoredTensor& tensor) { return tensor.name == tensor_name; });
            require(found != tensors.end(), Errc::io, index.string(), ": tensor '", tensor_name,
                    "' is not in ", file_name, ", expected there");
            tensors_.push_back(&*found);
        }
    }

    std::string name_;
    std::vector<std::shared_ptr<const SafetensorsFile>> files_;
    std::vector<const StoredTensor*> tensors_;
};

}  // namespace zeropp
