// SPDX-License-Identifier: Apache-2.0
/// \file `TensorBoard`: a sink that writes event files which TensorBoard reads.
///
/// Format: a file of TFRecords (length, its masked CRC-32C, data, its masked CRC-32C), each an
/// `Event` of tensorflow/core/util/event.proto in protocol buffers' wire format.
#pragma once

#include <array>
#include <bit>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include <unistd.h>

#include <zeropp/observe/events.hpp>
#include <zeropp/observe/log_file.hpp>
#include <zeropp/observe/metrics.hpp>

namespace zeropp {

/// DeepSpeed's "tensorboard".
struct TensorBoardOptions {
    bool enabled = false;
    std::string output_path{}, job_name = "DeepSpeedJobName";
};

namespace detail {

/// Castagnoli's, as of iSCSI (RFC 3720, appendix B.4).
inline std::uint32_t crc32c(std::string_view bytes) {
    static constexpr auto table = [] {
        std::array<std::uint32_t, 256> entries{};
        for (std::uint32_t i = 0; i < 256; ++i) {
            std::uint32_t value = i;
            for (int bit = 0; bit < 8; ++bit)
                value = (value >> 1) ^ ((value & 1) != 0 ? 0x82f63b78u : 0u);
            entries[i] = value;
        }
        return entries;
    }();
    std::uint32_t crc = ~0u;
    for (const char byte : bytes)
        crc = (crc >> 8) ^ table[(crc ^ static_cast<unsigned char>(byte)) & 0xffu];
    return ~crc;
}

template <class T>
void append_little_endian(std::string& out, T value) {
    for (std::size_t i = 0; i < sizeof(T); ++i) out += static_cast<char>(value >> (8 * i) & 0xffu);
}

/// One field after another of a protocol buffer.
class ProtoMessage {
public:
    ProtoMessage& field(unsigned number, std::int64_t value) {
        return key(number, 0).varint(static_cast<std::uint64_t>(value));
    }
    ProtoMessage& field(unsigned number, double value) {
        append_little_endian(key(number, 1).bytes_, std::bit_cast<std::uint64_t>(value));
        return *this;
    }
    ProtoMessage& field(unsigned number, float value) {
        append_little_endian(key(number, 5).bytes_, std::bit_cast<std::uint32_t>(value));
        return *this;
    }
    ProtoMessage& field(unsigned number, std::string_view value) {
        key(number, 2).varint(value.size()).bytes_ += value;
        return *this;
    }
    ProtoMessage& field(unsigned number, const ProtoMessage& value) {
        return field(number, std::string_view{value.bytes_});
    }
    const std::string& bytes() const noexcept { return bytes_; }

private:
    ProtoMessage& key(unsigned number, unsigned wire_type) {
        return varint(number << 3 | wire_type);
    }
    ProtoMessage& varint(std::uint64_t value) {
        for (; value >= 0x80; value >>= 7) bytes_ += static_cast<char>((value & 0x7f) | 0x80);
        bytes_ += static_cast<char>(value);
        return *this;
    }

    std::string bytes_;
};

inline std::string tensorboard_record(std::string_view data) {
    const auto masked = [](std::string_view bytes) {
        return std::rotr(crc32c(bytes), 15) + 0xa282ead8u;
    };
    std::string record;
    append_little_endian(record, static_cast<std::uint64_t>(data.size()));
    append_little_endian(record, masked(record));
    record += data;
    append_little_endian(record, masked(data));
    return record;
}

/// The first record of a file.
inline std::string tensorboard_header(double wall_time) {
    return tensorboard_record(
        ProtoMessage{}.field(1, wall_time).field(3, std::string_view{"brain.Event:2"}).bytes());
}
inline std::string tensorboard_scalars(double wall_time, std::int64_t step,
                                       const std::vector<Metric>& metrics) {
    ProtoMessage summary;
    for (const Metric& metric : metrics)
        summary.field(
            1, ProtoMessage{}.field(1, metric.name).field(2, static_cast<float>(metric.value)));
    return tensorboard_record(
        ProtoMessage{}.field(1, wall_time).field(2, step).field(5, summary).bytes());
}

}  // namespace detail

/// Scalars at x = examples so far, in a new file
/// output_path/job_name/events.out.tfevents.<seconds>.<host>.<process>.<number> each time.
class TensorBoard final : public Sink {
public:
    explicit TensorBoard(const TensorBoardOptions& options)
        : file_{new_file(monitor_folder("tensorboard", options.output_path, options.job_name))} {
        file_.write(detail::tensorboard_header(now()), expected);
    }
    void on(const StepEvent& event) override { write(metrics_of(event), event.samples); }
    void on(const EvaluationEvent& event) override { write(metrics_of(event), event.samples); }

private:
    static constexpr const char* expected = "an event";

    static double now() {
        return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch())
            .count();
    }
    static std::string new_file(const std::filesystem::path& folder) {
        char host[256] = {};
        if (::gethostname(host, sizeof host - 1) != 0 || host[0] == '\0') host[0] = '-';
        const std::string name = "events.out.tfevents." +
                                 std::to_string(static_cast<std::int64_t>(now())) + "." + host +
                                 "." + std::to_string(::getpid()) + ".";
        for (int number = 0;; ++number)  // several of one process within a second
            if (auto path = folder / (name + std::to_string(number));
                !std::filesystem::exists(path))
                return path.string();
    }
    void write(const std::vector<Metric>& metrics, std::int64_t samples) {
        file_.write(detail::tensorboard_scalars(now(), samples, metrics), expected);
    }

    LogFile file_;
};

}  // namespace zeropp
