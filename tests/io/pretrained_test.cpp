#include <bit>
#include <csignal>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include <sys/resource.h>

#include <zeropp/comm/thread.hpp>
#include <zeropp/format/stored_weights.hpp>
#include <zeropp/io/pretrained.hpp>
#include <zeropp/model/loaded_weights.hpp>
#include <zeropp/model/t5.hpp>

#include "model/golden.hpp"
#include "support/catch.hpp"
#include "support/temporary.hpp"

namespace zp = zeropp;
using zp::testing::Golden;
using zp::testing::golden_directory;
using zp::testing::message_of;
using zp::testing::TemporaryFolder;

namespace {

using Bits = std::map<std::string, std::vector<std::uint32_t>>;

const zp::T5Options limits{
    .micro_batch = 4, .max_source_length = 160, .max_target_length = 16, .dropout = 0.0f};

std::vector<std::uint32_t> bits_of(std::span<const float> values) {
    std::vector<std::uint32_t> bits;
    for (const float value : values) bits.push_back(std::bit_cast<std::uint32_t>(value));
    return bits;
}
Bits stored_in(const std::filesystem::path& folder) {
    Bits all;
    const zp::StoredWeights weights{folder};
    for (const zp::StoredTensor* tensor : weights.tensors()) {
        std::vector<float> values(tensor->size());
        tensor->read(0, values);
        all[tensor->name] = bits_of(values);
    }
    return all;
}
zp::T5Config tiny() {
    zp::T5Config config;
    config.vocab_size = 50;
    config.d_model = 16;
    config.d_kv = 4;
    config.d_ff = 24;
    config.num_layers = config.num_decoder_layers = 1;
    config.num_heads = 2;
    return config;
}

/// Trains for two steps, saves, and compares the file with the trainer's master.
template <class E, class S>
void save_and_compare(const char* name, int ranks) {
    const TemporaryFolder folder;
    Bits master;
    std::vector<double> losses(static_cast<std::size_t>(ranks));
    const Golden golden{name};
    zp::run_ranks(ranks, [&](zp::ThreadComm comm) {
        auto model = zp::T5<E>::from_pretrained(golden_directory(name), limits);
        zp::Trainer trainer{model, comm, S{}, zp::AdamW{.lr = 1e-3f}};
        trainer.step(golden.batch());
        trainer.step(golden.batch("second."));
        zp::save_pretrained(trainer, folder / "out/model");
        trainer.for_each_weight(
            [&](const zp::Parameter& parameter, std::size_t, std::span<const float> values) {
                master[parameter.name] = bits_of(values);
            });
        losses[static_cast<std::size_t>(comm.rank())] = trainer.evaluate(golden.batch()).mean();
    });
    CHECK(stored_in(folder / "out/model") == master);
    auto again = zp::T5<E>::from_pretrained(folder / "out/model", limits);
    zp::LoadedWeights weights{again};
    // Over ranks the mean is a sum of equal terms, divided by their number.
    CHECK(again.evaluate(golden.batch(), weights).mean() == Approx(losses[0]).epsilon(1e-12));
    CHECK(master.contains("lm_head.weight") == !again.config().tie_word_embeddings);
    // Written once more without a trainer, it is the same file.
    zp::save_pretrained(again, folder / "again");
    for (const char* file : {"model.safetensors", "config.json", "generation_config.json"})
        CHECK(zp::read_text(folder / "again" / file) == zp::read_text(folder / "out/model" / file));
}

}  // namespace

TEST_CASE("a trained T5 is saved with its fp32 master, and loaded again with the same loss") {
    for (const char* name : zp::testing::golden_cases) {
        INFO(name);
        save_and_compare<float, zp::Zero<2>>(name, 2);
    }
    save_and_compare<zp::Bf16, zp::Zero<3>>("gated_untied", 3);
}

TEST_CASE("the tokenizer's files are carried along, and other files of the target stay") {
    const TemporaryFolder folder;
    const auto first = zp::T5<float>::with_random_weights(tiny(), 1, {.micro_batch = 1});
    zp::save_pretrained(first, folder / "a");
    for (const char* name : {"a/spiece.model", "a/tokenizer_config.json", "a/notes.txt"})
        folder.write(name, std::string{"bytes\0of ", 9} + name);
    const auto second = zp::T5<float>::from_pretrained(folder / "a", {.micro_batch = 1});
    std::filesystem::create_directory(folder / "b");
    folder.write("b/mine.txt", "kept");
    zp::save_pretrained(second, folder / "b");
    CHECK(zp::read_text(folder / "b/spiece.model") == zp::read_text(folder / "a/spiece.model"));
    CHECK(zp::read_text(folder / "b/tokenizer_config.json") ==
          zp::read_text(folder / "a/tokenizer_config.json"));
    CHECK_FALSE(std::filesystem::exists(folder / "b/notes.txt"));
    CHECK(zp::read_text(folder / "b/mine.txt") == "kept");
    CHECK(stored_in(folder / "b") == stored_in(folder / "a"));
    // Keys of the configurations that say nothing to us stay; weights are written in fp32.
    zp::Json config = zp::read_json(folder / "a/config.json");
    config["task_specific_params"]["summarization"]["prefix"] = "summarize: ";
    config["torch_dtype"] = "bfloat16";
    folder.write("a/config.json", config.dump());
    zp::Json generation = zp::read_json(folder / "a/generation_config.json");
    generation["num_beams"] = 4;
    folder.write("a/generation_config.json", generation.dump());
    zp::save_pretrained(second, folder / "b");
    config["torch_dtype"] = "float32";
    CHECK(zp::read_json(folder / "b/config.json") == config);
    CHECK(zp::read_json(folder / "b/generation_config.json") == generation);
    folder.write("b/generation_config.json", "[]");
    CHECK(zp::testing::message_of([&] { zp::T5<float>::from_pretrained(folder / "b"); },
                                  folder.path()) ==
          "zeropp: b/generation_config.json: is array, expected an object");
    // Into the directory that it came from.
    zp::save_pretrained(second, folder / "a");
    CHECK(stored_in(folder / "b") == stored_in(folder / "a"));
    for (const auto& file : std::filesystem::recursive_directory_iterator{folder.path()})
        CHECK(file.path().extension() != ".partial");
}

TEST_CASE("an earlier model's shards and tokenizer go when another takes its place") {
    const TemporaryFolder folder;
    std::filesystem::create_directory(folder / "a");
    for (const char* name : {"a/tokenizer.json", "a/model-00001-of-00002.safetensors",
                             "a/model.safetensors.index.json", "a/notes.txt"})
        folder.write(name, "old");
    const auto model = zp::T5<float>::with_random_weights(tiny(), 1, {.micro_batch = 1});
    zp::save_pretrained(model, folder / "a");
    CHECK(std::filesystem::exists(folder / "a/tokenizer.json"));  // it brings none
    CHECK_FALSE(std::filesystem::exists(folder / "a/model-00001-of-00002.safetensors"));
    CHECK_FALSE(std::filesystem::exists(folder / "a/model.safetensors.index.json"));
    zp::save_pretrained(model, folder / "a", {{"spiece.model", "new"}});
    CHECK_FALSE(std::filesystem::exists(folder / "a/tokenizer.json"));
    CHECK(zp::read_text(folder / "a/notes.txt") == "old");
}

TEST_CASE("a disk that is full leaves the old model whole, and no new directory") {
    const TemporaryFolder folder;
    zp::save_pretrained(zp::T5<float>::with_random_weights(tiny(), 1, {.micro_batch = 1}),
                        folder / "old");
    const Bits before = stored_in(folder / "old");
    const auto model = zp::T5<float>::with_random_weights(tiny(), 2, {.micro_batch = 1});
    const auto handler = std::signal(SIGXFSZ, SIG_IGN);
    rlimit limit{};
    REQUIRE(::getrlimit(RLIMIT_FSIZE, &limit) == 0);
    const rlimit small{8192, limit.rlim_max};  // config.json fits, the weights do not
    REQUIRE(::setrlimit(RLIMIT_FSIZE, &small) == 0);
    const std::string into_old =
        message_of([&] { zp::save_pretrained(model, folder / "old"); }, folder.path());
    const std::string into_new =
        message_of([&] { zp::save_pretrained(model, folder / "new"); }, folder.path());
    ::setrlimit(RLIMIT_FSIZE, &limit);
    std::signal(SIGXFSZ, handler);
    CHECK(into_old ==
          "zeropp: old/model.safetensors: File too large, expected to write the whole file; "
          "nothing is left of it");
    CHECK(
        into_new ==
        "zeropp: new.partial1/model.safetensors: File too large, expected to write the whole file; "
        "nothing is left of it");
    CHECK(stored_in(folder / "old") == before);
    CHECK_FALSE(std::filesystem::exists(folder / "new"));
    CHECK_FALSE(std::filesystem::exists(folder / "new.partial1"));
    std::size_t files = 0;
    for (const auto& file : std::filesystem::directory_iterator{folder / "old"})
        files += file.is_regular_file();
    CHECK(files == 3);
}

TEST_CASE("a target that cannot be a directory is refused") {
    const TemporaryFolder folder;
    folder.write("file", "x");
    const auto model = zp::T5<float>::with_random_weights(tiny(), 2, {.micro_batch = 1});
    CHECK(message_of([&] { zp::save_pretrained(model, folder / "file"); }, folder.path()) ==
          "zeropp: file: is a file, expected a directory or nothing");
}
