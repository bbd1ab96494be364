// SPDX-License-Identifier: Apache-2.0
/// \file Everything of the GPU against the host, bit for bit. A program of its own, so that a
/// machine with nvcc alone can build it: `gpu_test` ends with "N passed, N failed".
#include <cstdio>
#include <cstring>
#include <exception>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include <zeropp/cuda.hpp>

#include "laws/communicator_laws.hpp"
#include "support/springs_trained.hpp"

using namespace zeropp;
using namespace zeropp::testing;

namespace {

int passed = 0, failed = 0;

/// `check` returns what does not hold, empty if all does.
template <class Check>
void test(const std::string& name, Check check) {
    std::string findings;
    try {
        findings = check();
    } catch (const std::exception& error) {
        findings = error.what();
    }
    (findings.empty() ? passed : failed) += 1;
    std::printf("%s: %s\n", findings.empty() ? "passed" : "FAILED", name.c_str());
    if (!findings.empty()) std::printf("%s\n", findings.c_str());
    std::fflush(stdout);
}

/// The GPU's memory, as long as it lives.
template <class T>
class Buffer {
public:
    explicit Buffer(std::size_t count)
        : count_{count}, at_{reinterpret_cast<T*>(device_.allocate(count * sizeof(T)))} {}
    explicit Buffer(const std::vector<T>& values) : Buffer{values.size()} {
        device_.copy(reinterpret_cast<std::byte*>(at_),
                     reinterpret_cast<const std::byte*>(values.data()), count_ * sizeof(T));
        device_.synchronize();
    }
    Buffer(const Buffer&) = delete;
    Buffer& operator=(const Buffer&) = delete;
    ~Buffer() { device_.deallocate(reinterpret_cast<std::byte*>(at_), count_ * sizeof(T)); }

    T* data() const { return at_; }
    std::span<T> span() const { return {at_, count_}; }
    std::vector<T> values() const {
        std::vector<T> copy(count_);
        device_.copy(reinterpret_cast<std::byte*>(copy.data()),
                     reinterpret_cast<const std::byte*>(at_), count_ * sizeof(T));
        device_.synchronize();
        return copy;
    }

private:
    Cuda device_;
    std::size_t count_;
    T* at_;
};

template <Element E>
std::vector<E> random_values(std::size_t count, std::uint64_t stream) {
    std::vector<E> values(count);
    for (std::size_t i = 0; i < count; ++i) values[i] = static_cast<E>(normal_at(11, stream, i));
    return values;
}

template <class O, Element E, Element G>
std::string update_is_the_hosts(std::size_t count, SlotFormat format = SlotFormat::float32) {
    using Part = typename Master<E>::Part;
    std::vector<E> parameters(count);
    std::vector<Part> parts(count);
    const std::vector<float> start = random_values<float>(count, 0);
    const std::vector<G> gradients = random_values<G>(count, 1);
    for (std::size_t i = 0; i < count; ++i) Master<E>::split(start[i], parameters[i], parts[i]);
    const std::size_t bytes =
        slot_bytes(format, (count + slot_block - 1) / slot_block * slot_block);
    std::vector<Slot> slots{O::slots.begin(), O::slots.end()};
    std::vector<std::vector<std::byte>> memory(slots.size(), std::vector<std::byte>(bytes));
    const Buffer<E> on_gpu{parameters};
    const Buffer<G> gpu_gradients{gradients};
    const Buffer<Part> gpu_parts{parts};
    std::vector<std::unique_ptr<Buffer<std::byte>>> gpu_memory;
    std::vector<SlotView> host_slots, gpu_slots;
    for (std::size_t s = 0; s < slots.size(); ++s) {
        slots[s].format = format;
        gpu_memory.push_back(std::make_unique<Buffer<std::byte>>(memory[s]));
        host_slots.emplace_back(slots[s], memory[s].data(), count);
        gpu_slots.emplace_back(slots[s], gpu_memory[s]->data(), count);
    }
    const O optimizer{.lr = 0.01f};
    auto host = make_updater<E>(Host{}, optimizer, {});
    auto gpu = make_updater<E>(Cuda{}, optimizer, {});
    for (std::int64_t step = 1; step <= 3; ++step) {
        std::vector<SlotChance> chances;
        for (std::size_t s = 0; s < slots.size(); ++s) chances.emplace_back(step, 0, s);
        const StepContext now{.index = step, .rates = optimizer.rates()};
        host.rule().begin(now);
        gpu.rule().begin(now);
        host.update({},
                    OwnedPiece<E, G>{.count = count,
                                     .parameters = parameters.data(),
                                     .masters = parts.data(),
                                     .gradients = gradients.data()},
                    host_slots, 0.7f, chances);
        gpu.update(OwnedPiece<E, G>{.count = count,
                                    .parameters = on_gpu.data(),
                                    .masters = gpu_parts.data(),
                                    .gradients = gpu_gradients.data()},
                   gpu_slots, 0.7f, chances);
    }
    std::string findings;
    if (!laws::same_bits(on_gpu.values(), parameters)) findings += "parameters differ; ";
    if (Master<E>::keeps && !laws::same_bits(gpu_parts.values(), parts))
        findings += "masters differ; ";
    for (std::size_t s = 0; s < gpu_memory.size(); ++s)
        if (gpu_memory[s]->values() != memory[s])
            findings += std::string{O::slots[s].name} + " differs; ";
    return findings;
}

template <Element G>
std::string measures_are_the_hosts() {
    std::string findings;
    for (const std::size_t count : {std::size_t{1}, std::size_t{17}, std::size_t{4096},
                                    std::size_t{100'001}, std::size_t{3'000'000}}) {
        std::vector<G> values = random_values<G>(count, 5);
        const auto on_host = sum_of_squares(Host{}, std::span<const G>{values});
        const Buffer<G> gpu{values};
        if (sum_of_squares(Cuda{}, std::span<const G>{gpu.span()}) != on_host)
            findings += "the sum of squares of " + std::to_string(count) + " values differs; ";
        if (first_not_finite(Cuda{}, std::span<const G>{gpu.span()}) != count)
            findings += "a value that is not finite is found among " + std::to_string(count) + "; ";
        values[count / 2] = static_cast<G>(std::numeric_limits<float>::infinity());
        values[count - 1] = static_cast<G>(std::numeric_limits<float>::quiet_NaN());
        const Buffer<G> bad{values};
        if (first_not_finite(Cuda{}, std::span<const G>{bad.span()}) != count / 2)
            findings += "the first that is not finite is another; ";
    }
    return findings;
}

template <Element E>
std::string masters_go_in_and_out() {
    const std::size_t count = 300'000;  // more than the scratch
    const std::vector<float> start = random_values<float>(count, 3);
    const Buffer<E> parameters{count};
    const Buffer<typename Master<E>::Part> parts{count};
    std::vector<float> back(count);
    set_masters<E>(Cuda{}, start, parameters.span(), parts.span());
    get_masters<E>(Cuda{}, std::span<const E>{parameters.span()},
                   std::span<const typename Master<E>::Part>{parts.span()}, std::span{back});
    return laws::same_bits(back, start) ? "" : "masters are not what was set";
}

/// Collectives over the GPU's memory; the laws themselves run over the host's.
template <Element E, Element G>
void check_on_gpu(CudaThreadComm& comm, std::size_t shard, laws::Findings& findings) {
    const auto world = static_cast<std::size_t>(comm.size()),
               rank = static_cast<std::size_t>(comm.rank());
    const Buffer<E> in{laws::values_of<E>(comm.rank(), world * shard)};
    const std::vector<G> expected = laws::reduced_by_definition<E, G>(comm.size(), world * shard);
    const Buffer<G> out{shard}, all{world * shard};
    comm.reduce_scatter(std::span<const E>{in.span()}, out.span()).wait();
    comm.all_gather(std::as_bytes(std::span<const G>{out.span()}),
                    std::as_writable_bytes(all.span()))
        .wait();
    findings.expect(laws::same_bits(all.values(), expected), "the mean of ", shard,
                    " elements a rank is not the definition's");
    comm.all_gather(std::as_bytes(std::span<const G>{all.span()}.subspan(rank * shard, shard)),
                    std::as_writable_bytes(all.span()))
        .wait();
    findings.expect(laws::same_bits(all.values(), expected), "all_gather in place differs");

    const Buffer<E> exchanged{world * shard};
    comm.all_to_all(std::as_bytes(std::span<const E>{in.span()}),
                    std::as_writable_bytes(exchanged.span()))
        .wait();
    const std::vector<E> received = exchanged.values();
    for (std::size_t r = 0; r < world; ++r) {
        const std::vector<E> sent = laws::values_of<E>(static_cast<int>(r), world * shard);
        findings.expect(std::memcmp(received.data() + r * shard, sent.data() + rank * shard,
                                    shard * sizeof(E)) == 0,
                        "all_to_all from rank ", r, " differs");
    }
    const int root = comm.size() - 1;
    comm.broadcast(std::as_writable_bytes(in.span()), root).wait();
    findings.expect(laws::same_bits(in.values(), laws::values_of<E>(root, world * shard)),
                    "broadcast differs");
    if (comm.size() > 1) {
        const Buffer<E> message{shard};
        if (comm.rank() == 0)
            comm.send(std::as_bytes(std::span<const E>{in.span().first(shard)}), 1).wait();
        if (comm.rank() == 1) {
            comm.recv(std::as_writable_bytes(message.span()), 0).wait();
            const std::vector<E> sent = laws::values_of<E>(root, world * shard);
            findings.expect(
                std::memcmp(message.values().data(), sent.data(), shard * sizeof(E)) == 0,
                "a message differs");
        }
        comm.barrier();
    }
}

std::string communicator_keeps_the_laws(int world) {
    std::vector<laws::Findings> findings(static_cast<std::size_t>(world));
    run_cuda_ranks(world, [&](CudaThreadComm comm) {
        laws::Findings& mine = findings[static_cast<std::size_t>(comm.rank())];
        const std::string over_host_memory = laws::check_communicator(comm);
        mine.expect(over_host_memory.empty(), over_host_memory);
        for (const std::size_t shard : {std::size_t{1}, std::size_t{129}, std::size_t{70'000}}) {
            check_on_gpu<float, float>(comm, shard, mine);
            check_on_gpu<Bf16, Bf16>(comm, shard, mine);
            check_on_gpu<Bf16, float>(comm, shard, mine);
        }
    });
    std::string all;
    for (const laws::Findings& each : findings) all += each.text();
    return all;
}

template <class S, class E, class O>
SpringsResult on_host(int world, Accumulation accumulation, float clip) {
    SpringsResult result;
    run_ranks(world, [&](ThreadComm comm) {
        train_springs<S, E, Host, O>(comm, result, accumulation, clip);
    });
    return result;
}
template <class S, class E, class O>
SpringsResult on_gpu(int world, Accumulation accumulation, float clip) {
    SpringsResult result;
    run_cuda_ranks(world, [&](CudaThreadComm comm) {
        train_springs<S, E, Cuda, O>(comm, result, accumulation, clip);
    });
    return result;
}

template <class E, class O>
std::string stages_agree_with_the_host(int world, Accumulation accumulation, float clip) {
    const SpringsResult expected = on_host<Zero<0>, E, O>(world, accumulation, clip);
    std::string findings;
    const auto compare = [&](int stage, const SpringsResult& result) {
        if (!result.same_values(expected))
            findings += "stage " + std::to_string(stage) + " leaves other bits than the host; ";
    };
    compare(0, on_gpu<Zero<0>, E, O>(world, accumulation, clip));
    compare(1, on_gpu<Zero<1>, E, O>(world, accumulation, clip));
    compare(2, on_gpu<Zero<2>, E, O>(world, accumulation, clip));
    compare(3, on_gpu<Zero<3>, E, O>(world, accumulation, clip));
    return findings;
}

/// `call` is refused with this sentence.
template <class Call>
std::string refuses(const std::string& sentence, Call call) {
    std::string said;
    try {
        call();
    } catch (const Error& error) {
        said = error.what();
    }
    return said == sentence ? "" : "says: '" + said + "', expected: '" + sentence + "'";
}
constexpr const char* no_8_bits = "zeropp: OptimizerStates: 8 bits on a GPU, expected fp32 or bf16";

std::string updater_refuses_8_bits() {
    Slot slot = AdamW::slots[0];
    Updater<float, Cuda>::require_formats({&slot, 1});
    slot.format = SlotFormat::bfloat16;
    Updater<float, Cuda>::require_formats({&slot, 1});
    slot.format = SlotFormat::block8;
    return refuses(no_8_bits, [&] { Updater<float, Cuda>::require_formats({&slot, 1}); });
}
std::string trainer_refuses_8_bits() {
    return refuses(no_8_bits, [] {
        run_cuda_ranks(1, [](CudaThreadComm comm) {
            Springs<float, Cuda> model;
            Trainer trainer{model, comm, AdamW{}, OptimizerStates{SlotFormat::block8}};
        });
    });
}

}  // namespace

int main() try {
    test("8 bits are refused", updater_refuses_8_bits);
    int gpus = 0;
    if (cudaGetDeviceCount(&gpus) != cudaSuccess || gpus == 0) {
        std::printf("no GPU here: nothing of the GPU's is tested\n");
        return failed != 0 ? 1 : 77;
    }
    std::printf("%s\n", describe_gpu(Cuda{}.ordinal()).c_str());
    const std::size_t some = 100'003;
    test("AdamW in fp32", [&] { return update_is_the_hosts<AdamW, float, float>(some); });
    test("AdamW in bf16", [&] { return update_is_the_hosts<AdamW, Bf16, Bf16>(some); });
    test("AdamW in bf16, gradients in fp32",
         [&] { return update_is_the_hosts<AdamW, Bf16, float>(some); });
    test("Adam in fp16", [&] { return update_is_the_hosts<Adam, Half, Half>(some); });
    test("momentum in fp32", [&] { return update_is_the_hosts<MomentumSgd, float, float>(some); });
    test("plain descent in bf16", [&] { return update_is_the_hosts<Sgd, Bf16, Bf16>(some); });
    test("AdamW in bf16, moments in bf16",
         [&] { return update_is_the_hosts<AdamW, Bf16, Bf16>(some, SlotFormat::bfloat16); });
    test("8 bits are refused when the trainer is made", trainer_refuses_8_bits);
    test("measures in fp32", measures_are_the_hosts<float>);
    test("measures in bf16", measures_are_the_hosts<Bf16>);
    test("masters in fp32", masters_go_in_and_out<float>);
    test("masters in bf16", masters_go_in_and_out<Bf16>);
    for (const int world : {1, 2, 3, 4, 8})
        test("the communicator's laws, " + std::to_string(world) + " ranks",
             [&] { return communicator_keeps_the_laws(world); });
    using Reduce = Accumulation::Reduce;
    for (const int world : {1, 2, 3, 4}) {
        const std::string ranks = ", " + std::to_string(world) + " ranks";
        test("stages in fp32" + ranks,
             [&] { return stages_agree_with_the_host<float, AdamW>(world, {}, 1); });
        test("stages in bf16" + ranks,
             [&] { return stages_agree_with_the_host<Bf16, AdamW>(world, {}, 1); });
        test("stages in fp16" + ranks,
             [&] { return stages_agree_with_the_host<Half, AdamW>(world, {}, 1); });
        test("stages in fp32, clipped" + ranks,
             [&] { return stages_agree_with_the_host<float, MomentumSgd>(world, {}, 1e-3f); });
        for (const Reduce reduce : {Reduce::every_micro_step, Reduce::once_a_step})
            test("stages in bf16, accumulated" + ranks, [&] {
                return stages_agree_with_the_host<Bf16, AdamW>(world, {3, reduce}, 1);
            });
    }
    std::printf("%d passed, %d failed\n", passed, failed);
    return failed != 0;
} catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
}
