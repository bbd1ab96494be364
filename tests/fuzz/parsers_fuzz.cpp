// SPDX-License-Identifier: Apache-2.0
/// \file libFuzzer over everything that reads a file: `parsers_fuzz --parser=NAME FOLDER...`.
/// An input is taken or refused with a `zeropp::Error`; nothing else may leave a parser. What is
/// taken must have a meaning: it is used, and written and read again where there is a writer.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include <sys/mman.h>
#include <unistd.h>

#include <zeropp/core/error.hpp>
#include <zeropp/core/json.hpp>
#include <zeropp/data/examples.hpp>
#include <zeropp/format/safetensors.hpp>
#include <zeropp/format/stored_weights.hpp>
#include <zeropp/format/t5_config.hpp>
#include <zeropp/io/dispatch.hpp>

#include "support/temporary.hpp"

namespace zp = zeropp;

namespace {

void hold(bool law, const char* sentence) {
    if (law) return;
    std::fprintf(stderr, "parsers_fuzz: %s\n", sentence);
    std::abort();
}

/// A file in memory; `path` names it for as long as it lives.
class MemoryFile {
public:
    explicit MemoryFile(std::string_view bytes) : file_{memfd_create("fuzz", MFD_CLOEXEC)} {
        hold(file_ >= 0 &&
                 write(file_, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()),
             "no memory for the input");
    }
    MemoryFile(const MemoryFile&) = delete;
    MemoryFile& operator=(const MemoryFile&) = delete;
    ~MemoryFile() { close(file_); }
    std::string path() const { return "/proc/self/fd/" + std::to_string(file_); }

private:
    int file_;
};

void parse_json(std::string_view text) {
    const zp::Json json = zp::parse_json(text, "input");
    hold(zp::parse_json(json.dump(), "dump") == json, "JSON that is written is read as the same");
}

void parse_ds_config(std::string_view text) {
    const zp::Config config = zp::parse_config(text, "input");
    zp::require_supported(config);
    for (const int ranks : {1, 3}) {
        const zp::BatchSizes sizes = zp::batch_sizes(config, ranks);
        hold(sizes.train == sizes.micro * sizes.accumulation * ranks, "batch sizes multiply out");
    }
}

void parse_t5_config(std::string_view text) {
    const std::string written = zp::config_json(zp::parse_t5_config(text, "input"));
    hold(zp::config_json(zp::parse_t5_config(written, "written")) == written,
         "a configuration that is written is read as the same");
}

void read_all(const zp::StoredTensor& tensor) {
    const bool floats = tensor.dtype == "F32" || tensor.dtype == "F16" || tensor.dtype == "BF16";
    if (!floats) return;
    std::vector<float> values(tensor.size());
    tensor.read(0, values);
}

void parse_safetensors(std::string_view bytes) {
    const MemoryFile input{bytes};
    const zp::SafetensorsFile file{input.path()};
    for (const zp::StoredTensor& tensor : file.tensors()) read_all(tensor);
}

/// model.safetensors.index.json beside one shard that has the tensors "a" and "b".
void parse_index(std::string_view text) {
    static const zp::testing::TemporaryFolder folder;
    static const auto shard = [] {
        const std::string header = R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},)"
                                   R"("b":{"dtype":"BF16","shape":[2],"data_offsets":[4,8]}})";
        const std::uint64_t size = header.size();
        return folder.write("s.safetensors",
                            std::string{reinterpret_cast<const char*>(&size), sizeof size} +
                                header + std::string(8, '\1'));
    }();
    folder.write("model.safetensors.index.json", text);
    const zp::StoredWeights weights{folder.path()};
    for (const zp::StoredTensor* tensor : weights.tensors()) {
        hold(weights.find(tensor->name) == tensor, "a tensor is found by its name");
        read_all(*tensor);
    }
}

void parse_jsonl(std::string_view text) {
    std::istringstream stream{std::string{text}};
    const auto each = [](const zp::TextExample&) {};
    zp::detail::read_jsonl(stream, "input", {"a", "b"}, each);
}

void parse_csv(std::string_view text) {
    std::istringstream stream{std::string{text}};
    const auto each = [](const zp::TextExample&) {};
    zp::detail::read_csv(stream, "input", {"a", "b"}, each);
}

struct Parser {
    std::string_view name;
    void (*parse)(std::string_view);
};
constexpr Parser parsers[] = {{"json", parse_json},
                              {"ds_config", parse_ds_config},
                              {"t5_config", parse_t5_config},
                              {"safetensors", parse_safetensors},
                              {"index", parse_index},
                              {"jsonl", parse_jsonl},
                              {"csv", parse_csv}};
const Parser* chosen = nullptr;

}  // namespace

extern "C" int LLVMFuzzerInitialize(int* count, char*** arguments) {
    constexpr std::string_view flag = "--parser=";
    for (int i = 1; i < *count; ++i) {
        const std::string_view argument = (*arguments)[i];
        if (!argument.starts_with(flag)) continue;
        for (const Parser& parser : parsers)
            if (parser.name == argument.substr(flag.size())) chosen = &parser;
    }
    hold(chosen != nullptr, "expected --parser=NAME, one of those in parsers_fuzz.cpp");
    return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    try {
        chosen->parse({reinterpret_cast<const char*>(data), size});
    } catch (const zp::Error& error) {
        const std::string_view what = error.what();
        hold(what.starts_with("zeropp: ") && what.find("expected") != what.npos,
             "an error says what was expected");
    }
    return 0;
}
