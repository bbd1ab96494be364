// SPDX-License-Identifier: Apache-2.0
/// \file Tensors in safetensors files: reading any such file, hostile ones too.
/// Format: 8 bytes N, little-endian; N bytes of JSON; the tensors' bytes, packed, little-endian.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
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

#include <zeropp/core/error.hpp>
#include <zeropp/core/precision.hpp>
#include <zeropp/format/file.hpp>
#include <zeropp/format/json.hpp>

namespace zeropp {

static_assert(std::endian::native == std::endian::little);

/// A tensor of a file, which it keeps open.
struct StoredTensor {
    std::string name, dtype;  ///< dtype as the file spells it
    std::vector<std::size_t> shape;
    std::shared_ptr<const InputFile> file;
    std::uint64_t first_byte = 0, bytes = 0;  ///< of the file

    std::size_t size() const noexcept {
        std::size_t count = 1;
        for (const std::size_t extent : shape) count *= extent;
        return count;
    }
    /// Elements first .. first + out.size(), exactly. F32, F16 and BF16 can be read.
    void read(std::size_t first, std::span<float> out) const;
};

namespace detail {

/// Bytes an element; 0 if the name is unknown.
constexpr std::size_t safetensors_size_of(std::string_view dtype) {
    struct Known {
        std::string_view name;
        std::size_t bytes;
    };
    constexpr std::array<Known, 15> all{{{"F32", 4},
                                         {"F16", 2},
                                         {"BF16", 2},
                                         {"F64", 8},
                                         {"I64", 8},
                                         {"I32", 4},
                                         {"I16", 2},
                                         {"I8", 1},
                                         {"U64", 8},
                                         {"U32", 4},
                                         {"U16", 2},
                                         {"U8", 1},
                                         {"BOOL", 1},
                                         {"F8_E4M3", 1},
                                         {"F8_E5M2", 1}}};
    for (const Known& known : all)
        if (known.name == dtype) return known.bytes;
    return 0;
}

template <class T>
void read_widened(const InputFile& file, std::uint64_t at, std::span<float> out) {
    std::array<T, 4096> part;
    while (!out.empty()) {
        const auto values = std::span{part}.first(std::min(part.size(), out.size()));
        file.read_at(at, std::as_writable_bytes(values));
        std::copy(values.begin(), values.end(), out.begin());
        at += values.size_bytes();
        out = out.subspan(values.size());
    }
}

inline std::optional<std::size_t> product(std::size_t a, std::size_t b) {
    std::size_t result = 0;
    if (__builtin_mul_overflow(a, b, &result)) return {};
    return result;
}

}  // namespace detail

inline void StoredTensor::read(std::size_t first, std::span<float> out) const {
    require(first <= size() && out.size() <= size() - first, Errc::shape, "tensor '", name,
            "': elements ", first, " to ", first + out.size(), " are read, expected at most ",
            size());
    if (out.empty()) return;
    const std::uint64_t from = first_byte + first * detail::safetensors_size_of(dtype);
    if (dtype == "F32")
        file->read_at(from, std::as_writable_bytes(out));
    else if (dtype == "BF16")
        detail::read_widened<Bf16>(*file, from, out);
    else if (dtype == "F16")
        detail::read_widened<Half>(*file, from, out);
    else
        fail(Errc::io, "tensor '", name, "': its type is ", dtype, ", expected F32, BF16 or F16");
}

/// A file, checked when it is opened: every byte of it belongs to the header or to one tensor.
/// Messages call it by its path.
class SafetensorsFile {
public:
    explicit SafetensorsFile(const std::filesystem::path& path)
        : file_{std::make_shared<const InputFile>(path)} {
        const std::string name = path.string();
        const std::uint64_t size = file_->size();
        require(size >= 8, Errc::io, name, ": is ", size,
                " bytes long, expected a safetensors file of at least 8");
        std::uint64_t header_size = 0;
        file_->read_at(0, std::as_writable_bytes(std::span{&header_size, 1}));
        const std::uint64_t most = std::min(size - 8, largest_header);
        require(header_size <= most, Errc::io, name, ": its header claims ", header_size,
                " bytes, expected at most ", most,
                "; the file is cut short, or no safetensors file");
        std::string header(static_cast<std::size_t>(header_size), '\0');
        file_->read_at(8, std::as_writable_bytes(std::span{header}));
        require(header.starts_with('{'), Errc::io, name,
                ": its header does not begin with '{', expected a safetensors file");
        const Json json = parse_json(header, name + ": header");
        first_byte_ = 8 + header_size;
        for (const auto& [key, value] : json.items())
            if (key == "__metadata__")
                check_metadata(value, name);
            else
                tensors_.push_back(tensor_of(key, value, name));
        check_packed(name);
    }

    /// Sorted by name.
    std::span<const StoredTensor> tensors() const noexcept { return tensors_; }

private:
    static constexpr std::uint64_t largest_header = 100'000'000;

    static void check_metadata(const Json& value, const std::string& name) {
        require(value.is_object() && std::all_of(value.begin(), value.end(),
                                                 [](const Json& one) { return one.is_string(); }),
                Errc::io, name, ": __metadata__ is ", value.dump(), ", expected texts by name");
    }
    static std::size_t extent_of(const Json& value, const std::string& where) {
        require(value.is_number_unsigned(), Errc::io, where, " holds ", value.dump(),
                ", expected counts");
        return value.get<std::size_t>();
    }
    StoredTensor tensor_of(const std::string& key, const Json& value,
                           const std::string& name) const {
        const std::string where = name + ": tensor '" + key + "': ";
        const auto part = [&](const char* part_name, bool good) {
            require(good, Errc::io, where, part_name,
                    " is missing or of a wrong type, expected dtype, shape and data_offsets");
        };
        part("the entry", value.is_object());
        part("dtype", value.contains("dtype") && value["dtype"].is_string());
        part("shape", value.contains("shape") && value["shape"].is_array());
        part("data_offsets", value.contains("data_offsets") && value["data_offsets"].is_array() &&
                                 value["data_offsets"].size() == 2);
        StoredTensor tensor;
        tensor.name = key;
        tensor.dtype = value["dtype"].get<std::string>();
        const std::size_t element = detail::safetensors_size_of(tensor.dtype);
        require(element != 0, Errc::io, where, "its type is ", value["dtype"].dump(),
                ", expected a type of whole bytes that this version knows");
        std::optional<std::size_t> wanted = element;
        bool empty = false;
        for (const Json& extent : value["shape"]) {
            tensor.shape.push_back(extent_of(extent, where + "shape"));
            empty = empty || tensor.shape.back() == 0;
            if (tensor.shape.back() != 0 && wanted)
                wanted = detail::product(*wanted, tensor.shape.back());
        }
        require(wanted.has_value(), Errc::io, where, "shape is ", value["shape"].dump(),
                ", expected fewer elements than can be counted");
        if (empty) wanted = 0;
        const std::size_t begin = extent_of(value["data_offsets"][0], where + "data_offsets"),
                          end = extent_of(value["data_offsets"][1], where + "data_offsets");
        require(begin <= end && end <= file_->size() - first_byte_, Errc::io, where,
                "its bytes are ", begin, " to ", end, ", expected to lie within the file's ",
                file_->size() - first_byte_, "; the file is cut short or broken");
        require(end - begin == *wanted, Errc::io, where, "it has ", end - begin,
                " bytes, expected ", *wanted, " by type and shape");
        tensor.file = file_;
        tensor.first_byte = first_byte_ + begin;
        tensor.bytes = end - begin;
        return tensor;
    }
    /// No holes, no overlap, nothing left over.
    void check_packed(const std::string& name) const {
        std::vector<const StoredTensor*> order;
        for (const StoredTensor& tensor : tensors_) order.push_back(&tensor);
        std::sort(order.begin(), order.end(), [](const StoredTensor* a, const StoredTensor* b) {
            return std::pair{a->first_byte, a->bytes} < std::pair{b->first_byte, b->bytes};
        });
        std::uint64_t at = first_byte_;
        for (const StoredTensor* tensor : order) {
            require(tensor->first_byte == at, Errc::io, name, ": tensor '", tensor->name,
                    "': begins at byte ", tensor->first_byte - first_byte_, ", expected ",
                    at - first_byte_, ", where the tensor before it ends");
            at += tensor->bytes;
        }
        require(at == file_->size(), Errc::io, name, ": ", file_->size() - at,
                " bytes behind the last tensor belong to none, expected 0");
    }

    std::shared_ptr<const InputFile> file_;
    std::uint64_t first_byte_ = 0;  ///< of the tensors
    std::vector<StoredTensor> tensors_;
};

}  // namespace zeropp
