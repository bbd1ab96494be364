#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include <zeropp/core/rng.hpp>
#include <zeropp/format/safetensors.hpp>
#include <zeropp/format/safetensors_writer.hpp>
#include <zeropp/format/stored_weights.hpp>

#include "support/catch.hpp"
#include "support/temporary.hpp"

namespace zp = zeropp;
using zp::testing::message_of;
using zp::testing::TemporaryFolder;

namespace {

std::string file_of(const std::string& header, const std::string& data) {
    const std::uint64_t size = header.size();
    std::string bytes(8, '\0');
    std::memcpy(bytes.data(), &size, 8);
    return bytes + header + data;
}
template <class T>
std::string bytes_of(std::initializer_list<T> values) {
    std::string bytes;
    for (const T value : values) {
        char one[sizeof(T)];
        std::memcpy(one, &value, sizeof(T));
        bytes.append(one, sizeof(T));
    }
    return bytes;
}
std::string refusal(const TemporaryFolder& folder, const std::string& bytes) {
    const auto path = folder.write("f.safetensors", bytes);
    return message_of([&] { const zp::SafetensorsFile file{path}; }, folder.path());
}
std::string entry(const std::string& name, const std::string& dtype, const std::string& shape,
                  const std::string& offsets) {
    return '"' + name + R"(":{"dtype":")" + dtype + R"(","shape":)" + shape +
           R"(,"data_offsets":)" + offsets + '}';
}
std::vector<float> values_of(const zp::StoredTensor& tensor) {
    std::vector<float> values(tensor.size());
    tensor.read(0, values);
    return values;
}
const std::string zeros(64, '\0');

}  // namespace

TEST_CASE("F32, BF16 and F16 are read exactly, from bytes of any alignment") {
    const TemporaryFolder folder;
    // The header is padded so that the data stand at an odd byte.
    std::string header =
        '{' + entry("bf", "BF16", "[2]", "[0,4]") + ',' + entry("f", "F32", "[2,2]", "[8,24]") +
        ',' + entry("h", "F16", "[2]", "[4,8]") + ',' + entry("i", "I64", "[]", "[24,32]") + ',' +
        entry("empty", "F32", "[3,0]", "[24,24]") + '}';
    while ((8 + header.size()) % 2 == 0) header += ' ';
    const auto path = folder.write(
        "f.safetensors", file_of(header, bytes_of<std::uint16_t>({0x3fc0, 0xc000, 0x3e00, 0x0001}) +
                                             bytes_of<float>({1.0f, -2.5f, 3.25f, 1e-40f}) +
                                             bytes_of<std::int64_t>({7})));
    const zp::SafetensorsFile file{path};
    REQUIRE(file.tensors().size() == 5);
    CHECK(values_of(file.tensors()[0]) == std::vector<float>{1.5f, -2.0f});
    CHECK(values_of(file.tensors()[1]).empty());
    CHECK(values_of(file.tensors()[2]) == std::vector<float>{1.0f, -2.5f, 3.25f, 1e-40f});
    CHECK(values_of(file.tensors()[3]) == std::vector<float>{1.5f, 0x1p-24f});
    std::vector<float> part(2);
    file.tensors()[2].read(1, part);
    CHECK(part == std::vector<float>{-2.5f, 3.25f});
    CHECK(message_of([&] { file.tensors()[2].read(3, part); }) ==
          "zeropp: tensor 'f': elements 3 to 5 are read, expected at most 4");
    CHECK(message_of([&] { values_of(file.tensors()[4]); }) ==
          "zeropp: tensor 'i': its type is I64, expected F32, BF16 or F16");
}

TEST_CASE("a hostile file is refused with one sentence") {
    const TemporaryFolder folder;
    const std::string f = "zeropp: f.safetensors: ";
    CHECK(refusal(folder, "") == f + "is 0 bytes long, expected a safetensors file of at least 8");
    CHECK(refusal(folder, std::string(8, '\xff') + "{}") ==
          f + "its header claims 18446744073709551615 bytes, expected at most 2; the file is cut "
              "short, or no safetensors file");
    CHECK(refusal(folder, file_of(" {}", "")) ==
          f + "its header does not begin with '{', expected a safetensors file");
    CHECK(refusal(folder, file_of("{\"a\":", "")).find("f.safetensors: header: column ") !=
          std::string::npos);
    CHECK(refusal(folder, file_of('{' + entry("a", "F32", "[1]", "[0,4]") + ',' +
                                      entry("a", "F32", "[1]", "[4,8]") + '}',
                                  zeros.substr(0, 8))) ==
          f + "header: a is given twice, expected once");
    CHECK(refusal(folder, file_of("{\"a\":3}", "")) ==
          f + "tensor 'a': the entry is missing or of a wrong type, expected dtype, shape and "
              "data_offsets");
    CHECK(refusal(folder, file_of('{' + entry("a", "F4", "[1]", "[0,4]") + '}', zeros)) ==
          f + "tensor 'a': its type is \"F4\", expected a type of whole bytes that this version "
              "knows");
    CHECK(refusal(folder, file_of('{' + entry("a", "F32", "[-1]", "[0,4]") + '}', zeros)) ==
          f + "tensor 'a': shape holds -1, expected counts");
    CHECK(refusal(folder, file_of('{' + entry("a", "F32", "[1.0]", "[0,4]") + '}', zeros)) ==
          f + "tensor 'a': shape holds 1.0, expected counts");
    CHECK(refusal(folder,
                  file_of('{' + entry("a", "F32", "[4294967296,4294967296]", "[0,0]") + '}', "")) ==
          f + "tensor 'a': shape is [4294967296,4294967296], expected fewer elements than can be "
              "counted");
    CHECK(refusal(folder, file_of('{' + entry("a", "F32", "[2]", "[0,4]") + '}', zeros)) ==
          f + "tensor 'a': it has 4 bytes, expected 8 by type and shape");
    CHECK(refusal(folder, file_of('{' + entry("a", "F32", "[1]", "[64,68]") + '}', zeros)) ==
          f + "tensor 'a': its bytes are 64 to 68, expected to lie within the file's 64; the file "
              "is cut short or broken");
    CHECK(refusal(folder,
                  file_of('{' + entry("a", "F32", "[1]", "[8,4]") + '}', zeros.substr(0, 8))) ==
          f + "tensor 'a': its bytes are 8 to 4, expected to lie within the file's 8; the file is "
              "cut short or broken");
    CHECK(refusal(folder, file_of('{' + entry("a", "F32", "[2]", "[0,8]") + ',' +
                                      entry("b", "F32", "[2]", "[4,12]") + '}',
                                  zeros.substr(0, 12))) ==
          f + "tensor 'b': begins at byte 4, expected 8, where the tensor before it ends");
    CHECK(refusal(folder,
                  file_of('{' + entry("a", "F32", "[1]", "[4,8]") + '}', zeros.substr(0, 8))) ==
          f + "tensor 'a': begins at byte 4, expected 0, where the tensor before it ends");
    CHECK(refusal(folder,
                  file_of('{' + entry("a", "F32", "[1]", "[0,4]") + '}', zeros.substr(0, 5))) ==
          f + "1 bytes behind the last tensor belong to none, expected 0");
    CHECK(refusal(folder, file_of(R"({"__metadata__":{"format":1}})", "")) ==
          f + "__metadata__ is {\"format\":1}, expected texts by name");
    CHECK(message_of([&] { const zp::SafetensorsFile file{folder.path()}; }) ==
          "zeropp: " + folder.path().string() + ": is no regular file, expected one");
}

TEST_CASE("what was written is read back, and the header is as transformers wants it") {
    const TemporaryFolder folder;
    const auto path = folder / "f.safetensors";
    const std::vector<float> a{1, 2, 3, 4, 5, 6}, b{-0.0f, 0x1p-149f};
    {
        zp::SafetensorsWriter writer{path, {{"z", {2, 3}}, {"b \"quoted\"", {2}}}};
        writer.append("z", std::span{a}.first(4));
        writer.append("b \"quoted\"", b);
        CHECK(message_of([&] { writer.sync(); }) ==
              "zeropp: SafetensorsWriter: tensor 'z' was given 16 bytes, expected 24");
        writer.append("z", std::span{a}.subspan(4));
        CHECK(message_of([&] { writer.append("z", b); }) ==
              "zeropp: SafetensorsWriter: tensor 'z' is given 32 bytes, expected 24");
        writer.sync();
        CHECK_FALSE(std::filesystem::exists(path));
        writer.publish();
    }
    const std::string bytes = zp::read_text(path);
    std::uint64_t size = 0;
    std::memcpy(&size, bytes.data(), 8);
    CHECK(size % 8 == 0);
    CHECK(bytes.substr(8, 33) == R"({"__metadata__":{"format":"pt"},")");
    const zp::SafetensorsFile file{path};
    REQUIRE(file.tensors().size() == 2);
    CHECK(file.tensors()[0].name == "b \"quoted\"");
    CHECK(std::bit_cast<std::uint32_t>(values_of(file.tensors()[0])[0]) == 0x80000000u);
    CHECK(values_of(file.tensors()[0])[1] == b[1]);
    CHECK(values_of(file.tensors()[1]) == a);
    CHECK(file.tensors()[1].shape == std::vector<std::size_t>{2, 3});
}

TEST_CASE("mutated and truncated files are refused or read within their bytes, never more") {
    const TemporaryFolder folder;
    std::string header =
        R"({"__metadata__":{"format":"pt"},)" + entry("a", "F32", "[2,3]", "[0,24]") + ',' +
        entry("b", "BF16", "[4]", "[24,32]") + ',' + entry("c", "F16", "[]", "[32,34]") + '}';
    const std::string whole = file_of(header, zeros.substr(0, 34));
    REQUIRE(refusal(folder, whole).empty());
    const auto try_bytes = [&](const std::string& bytes) {
        const auto path = folder.write("f.safetensors", bytes);
        try {
            const zp::SafetensorsFile file{path};
            for (const zp::StoredTensor& tensor : file.tensors())
                if (tensor.dtype == "F32" || tensor.dtype == "F16" || tensor.dtype == "BF16")
                    values_of(tensor);
            return true;
        } catch (const zp::Error&) {
            return false;  // any other exception, or a signal, fails the test
        }
    };
    for (std::size_t length = 0; length < whole.size(); ++length)
        CHECK_FALSE(try_bytes(whole.substr(0, length)));
    zp::Random random{2024};
    const std::string alphabet = "0123456789{}[],:\"-e.FB16 \\\xff";
    std::size_t accepted = 0;
    for (int round = 0; round < 4000; ++round) {
        std::string bytes = whole;
        const std::uint32_t changes = 1 + random.below(3);
        for (std::uint32_t i = 0; i < changes; ++i) {
            const std::size_t at = random.below(static_cast<std::uint32_t>(8 + header.size()));
            const char letter = alphabet[random.below(static_cast<std::uint32_t>(alphabet.size()))];
            switch (random.below(3)) {
                case 0:
                    bytes[at] = at < 8 ? static_cast<char>(random.next()) : letter;
                    break;
                case 1:
                    bytes.insert(at, 1, letter);
                    break;
                default:
                    bytes.erase(at, 1);
            }
        }
        accepted += try_bytes(bytes);
    }
    CHECK(accepted > 0);  // a letter of a name or of the metadata may change
    CHECK(accepted < 2000);
}

TEST_CASE("weights in several files are found by the index") {
    const TemporaryFolder folder;
    const auto write = [&](const std::string& name, const std::string& tensor, float value) {
        zp::SafetensorsWriter writer{folder / name, {{tensor, {1}}}};
        writer.append(tensor, std::span{&value, 1});
        writer.sync();
        writer.publish();
    };
    write("one.safetensors", "b", 1.0f);
    write("two.safetensors", "a", 2.0f);
    const auto index = [&](const std::string& text) {
        folder.write("model.safetensors.index.json", text);
        return message_of([&] { const zp::StoredWeights weights{folder.path()}; }, folder.path());
    };
    const std::string i = "zeropp: model.safetensors.index.json: ";
    CHECK(index(R"({"weight_map":{"a":"two.safetensors","b":"one.safetensors"}})").empty());
    const zp::StoredWeights weights{folder.path()};
    const zp::StoredWeights copy = weights;
    CHECK(values_of(*copy.find("a")) == std::vector<float>{2.0f});
    CHECK(values_of(*copy.find("b")) == std::vector<float>{1.0f});
    CHECK(copy.find("c") == nullptr);

    CHECK(index("{}") == i + "weight_map is missing, expected files by tensor");
    CHECK(index(R"({"weight_map":{"c":"one.safetensors"}})") ==
          i + "tensor 'c' is not in one.safetensors, expected there");
    CHECK(index(R"({"weight_map":{"a":"../two.safetensors"}})") ==
          i + "weight_map.a is \"../two.safetensors\", expected a safetensors file beside the "
              "index");
    CHECK(index(R"({"weight_map":{"a":"three.safetensors"}})") ==
          "zeropp: three.safetensors: No such file or directory, expected a readable file");
}

TEST_CASE("a directory without weights is refused with what to do") {
    const TemporaryFolder folder;
    const std::string name = "zeropp: " + folder.path().string() + ": ";
    const auto refused = [&](const std::filesystem::path& path) {
        return message_of([&] { const zp::StoredWeights weights{path}; });
    };
    CHECK(refused(folder.path()) ==
          name + "has no weights, expected model.safetensors or model.safetensors.index.json");
    folder.write("pytorch_model.bin", "x");
    CHECK(refused(folder.path()) ==
          name +
              "has no weights, expected model.safetensors or model.safetensors.index.json; "
              "pytorch_model.bin is there: save it again with transformers, "
              "safe_serialization=True");
    CHECK(refused(folder / "none") ==
          "zeropp: " + (folder / "none").string() + ": is no directory, expected a model's");
}
