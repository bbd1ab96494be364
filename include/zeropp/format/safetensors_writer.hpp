// SPDX-License-Identifier: Apache-2.0
/// \file Writes fp32 tensors to a safetensors file.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <zeropp/core/error.hpp>
#include <zeropp/core/json.hpp>
#include <zeropp/format/file.hpp>

namespace zeropp {

/// Writes fp32 tensors, in any order and in pieces, to a file that appears when `publish` is
/// called. Header: `format: pt`, data at a multiple of 8 bytes.
class SafetensorsWriter {
public:
    struct Entry {
        std::string name;
        std::vector<std::size_t> shape;
    };

    SafetensorsWriter(std::filesystem::path path, std::vector<Entry> entries)
        : file_{std::move(path)} {
        std::sort(entries.begin(), entries.end(),
                  [](const Entry& a, const Entry& b) { return a.name < b.name; });
        std::string header = R"({"__metadata__":{"format":"pt"})";
        std::uint64_t at = 0;
        for (Entry& entry : entries) {
            std::uint64_t bytes = sizeof(float);
            for (const std::size_t extent : entry.shape) bytes *= extent;
            header += ',' + Json(entry.name).dump() + R"(:{"dtype":"F32","shape":)" +
                      Json(entry.shape).dump() + R"(,"data_offsets":)" +
                      Json({at, at + bytes}).dump() + '}';
            tensors_.push_back({std::move(entry.name), at, bytes, 0});
            at += bytes;
        }
        header += '}';
        header.append((8 - header.size() % 8) % 8, ' ');
        const std::uint64_t size = header.size();
        std::string start(8, '\0');
        std::memcpy(start.data(), &size, 8);
        file_.write(start + header);
        data_ = 8 + size;
    }

    /// The tensor's next elements.
    void append(std::string_view name, std::span<const float> values) {
        const auto found =
            std::lower_bound(tensors_.begin(), tensors_.end(), name,
                             [](const Tensor& a, std::string_view b) { return a.name < b; });
        require(found != tensors_.end() && found->name == name, Errc::config,
                "SafetensorsWriter: tensor '", name, "' is written, expected one of the entries");
        require(values.size_bytes() <= found->bytes - found->written, Errc::shape,
                "SafetensorsWriter: tensor '", name, "' is given ",
                found->written + values.size_bytes(), " bytes, expected ", found->bytes);
        file_.write_at(data_ + found->first + found->written, std::as_bytes(values));
        found->written += values.size_bytes();
    }
    /// Everything was given and is on the disk when it returns.
    void sync() {
        for (const Tensor& tensor : tensors_)
            require(tensor.written == tensor.bytes, Errc::shape, "SafetensorsWriter: tensor '",
                    tensor.name, "' was given ", tensor.written, " bytes, expected ", tensor.bytes);
        file_.sync();
    }
    void publish() { file_.publish(); }

private:
    struct Tensor {
        std::string name;
        std::uint64_t first, bytes, written;
    };

    NewFile file_;
    std::vector<Tensor> tensors_;
    std::uint64_t data_ = 0;
};

}  // namespace zeropp
