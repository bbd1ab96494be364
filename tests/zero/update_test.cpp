// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <cstring>
#include <vector>

#include <zeropp/core/rng.hpp>
#include <zeropp/optim/adamw.hpp>
#include <zeropp/zero/cuda/update_element.hpp>
#include <zeropp/zero/update.hpp>

#include "support/catch.hpp"

using namespace zeropp;

namespace {

/// One tensor that this rank has all of.
template <Element E>
struct OneTensor {
    std::vector<E> parameters;
    std::vector<typename Master<E>::Part> masters;
    std::vector<float> gradients;
    std::vector<Slot> slots{AdamW::slots.begin(), AdamW::slots.end()};
    std::vector<std::vector<std::byte>> memory;

    explicit OneTensor(std::size_t count, SlotFormat format = SlotFormat::float32)
        : parameters(count), masters(count), gradients(count), memory(slots.size()) {
        for (std::size_t s = 0; s < slots.size(); ++s) {
            slots[s].format = format;
            memory[s].resize(slot_bytes(format, (count + 127) / 128 * 128));
        }
        for (std::size_t i = 0; i < count; ++i)
            Master<E>::split(normal_at(1, 0, i), parameters[i], masters[i]);
    }
    void step(Updater<E, Host>& updater, std::int64_t index, float scale,
              const std::vector<std::size_t>& cuts) {
        std::vector<SlotView> views;
        std::vector<SlotChance> chances;
        for (std::size_t s = 0; s < slots.size(); ++s) {
            views.emplace_back(slots[s], memory[s].data(), (parameters.size() + 127) / 128 * 128);
            chances.emplace_back(index, 0, s);
        }
        updater.rule().begin({.index = index, .rates = updater.rule().rates()});
        for (std::size_t c = 0; c + 1 < cuts.size(); ++c)
            updater.update({},
                           OwnedPiece<E, float>{.at = cuts[c],
                                                .count = cuts[c + 1] - cuts[c],
                                                .in_tensor = cuts[c],
                                                .in_bucket = cuts[c],
                                                .parameters = parameters.data() + cuts[c],
                                                .masters = masters.data() + cuts[c],
                                                .gradients = gradients.data() + cuts[c]},
                           views, scale, chances);
    }
    std::vector<float> values(std::size_t slot) {
        std::vector<float> buffer(parameters.size());
        const SlotView view{slots[slot], memory[slot].data(),
                            (parameters.size() + 127) / 128 * 128};
        const float* const read = view.read(0, buffer.size(), buffer.data());
        return {read, read + buffer.size()};
    }
};

}  // namespace

TEST_CASE("a master survives its split into 16 and 16 bits") {
    const auto survives = [](std::uint32_t bits) {
        const auto master = std::bit_cast<float>(bits);
        Bf16 upper;
        std::uint16_t lower = 0;
        MasterSplit::split(master, upper, lower);
        return std::bit_cast<std::uint32_t>(MasterSplit::join(upper, lower)) == bits &&
               std::abs(static_cast<float>(upper) - master) <= std::abs(master) * 0x1p-8f;
    };
    Random random{1};
    for (int i = 0; i < 200'000; ++i) {
        const std::uint32_t bits = random.next();
        if (std::isfinite(std::bit_cast<float>(bits)) &&
            std::abs(std::bit_cast<float>(bits)) < 1e38f &&
            std::abs(std::bit_cast<float>(bits)) > 1e-37f)
            REQUIRE(survives(bits));
    }
    for (const std::uint32_t bits :
         {0u, 0x80000000u, 0x3f808000u, 0x3f818000u, 0x3f80ffffu, 0x3f807fffu, 0xbf808000u})
        CHECK(survives(bits));
}

TEST_CASE("the sum of squares is that of the elements, whatever the length") {
    for (const std::size_t count : {0, 1, 15, 16, 17, 4095, 4096, 4097, 10'000}) {
        std::vector<float> values(count);
        double expected = 0;
        for (std::size_t i = 0; i < count; ++i) {
            values[i] = normal_at(3, 0, i);
            expected += static_cast<double>(values[i]) * values[i];
        }
        CHECK(sum_of_squares(Host{}, std::span<const float>{values}) ==
              Approx(expected).epsilon(1e-13));  // order of a double sum
    }
}

TEST_CASE("an update in pieces is the update of the whole") {
    const std::size_t count = 1000;
    for (const SlotFormat format :
         {SlotFormat::float32, SlotFormat::bfloat16, SlotFormat::block8}) {
        const auto run = [&](const std::vector<std::size_t>& cuts) {
            OneTensor<Bf16> tensor{count, format};
            auto updater = make_updater<Bf16>(Host{}, AdamW{}, {});
            for (std::int64_t step = 1; step <= 3; ++step) {
                for (std::size_t i = 0; i < count; ++i)
                    tensor.gradients[i] = normal_at(1, static_cast<std::uint64_t>(step), i);
                tensor.step(updater, step, 0.5f, cuts);
            }
            std::vector<float> all;
            for (std::size_t i = 0; i < count; ++i)
                all.push_back(Master<Bf16>::join(tensor.parameters[i], tensor.masters[i]));
            for (const std::size_t slot : {std::size_t{0}, std::size_t{1}}) {
                const std::vector<float> values = tensor.values(slot);
                all.insert(all.end(), values.begin(), values.end());
            }
            return all;
        };
        CHECK(run({0, count}) == run({0, 128, 640, 896, count}));
    }
}

TEST_CASE("every element type takes the steps of fp32 through its master") {
    const std::size_t count = 200;
    const auto run = [&](auto tag) {
        using E = decltype(tag);
        OneTensor<E> tensor{count};
        auto updater = make_updater<E>(Host{}, AdamW{.lr = 1e-2f}, {});
        for (std::int64_t step = 1; step <= 5; ++step) {
            for (std::size_t i = 0; i < count; ++i)
                tensor.gradients[i] = normal_at(2, static_cast<std::uint64_t>(step), i);
            tensor.step(updater, step, 0.5f, {0, count});
        }
        std::vector<float> master(count);
        for (std::size_t i = 0; i < count; ++i) {
            master[i] = Master<E>::join(tensor.parameters[i], tensor.masters[i]);
            CHECK(static_cast<float>(tensor.parameters[i]) ==
                  static_cast<float>(published<E>(master[i])));
        }
        return master;
    };
    const std::vector<float> expected = run(float{});
    CHECK(run(Bf16{}) == expected);
    CHECK(run(Half{}) == expected);
}

TEST_CASE("a GPU's update of an element is the host's") {
    const std::size_t count = 1000;
    for (const SlotFormat format : {SlotFormat::float32, SlotFormat::bfloat16}) {
        const AdamW optimizer;
        OneTensor<Bf16> tensor{count, format}, other{count, format};
        auto updater = make_updater<Bf16>(Host{}, optimizer, {});
        const auto run = [&]<class O>(const O&) {
            for (std::int64_t step = 1; step <= 3; ++step) {
                for (std::size_t i = 0; i < count; ++i)
                    tensor.gradients[i] = normal_at(1, static_cast<std::uint64_t>(step), i);
                tensor.step(updater, step, 0.5f, {0, count});
                const auto constants =
                    optimizer.constants({.index = step, .rates = optimizer.rates()});
                for_each_element(Host{}, count,
                                 UpdateElement<O, Bf16, float, decltype(constants)>{
                                     constants,
                                     0.5f,
                                     other.parameters.data(),
                                     other.masters.data(),
                                     tensor.gradients.data(),
                                     {other.memory[0].data(), other.memory[1].data()},
                                     {SlotChance{step, 0, 0}, SlotChance{step, 0, 1}},
                                     0});
            }
        };
        if (format == SlotFormat::float32)
            run(optimizer);
        else
            run(WithSlots<AdamW, SlotFormat::bfloat16>{});
        CHECK(tensor.masters == other.masters);
        CHECK(tensor.memory == other.memory);
        CHECK(std::memcmp(tensor.parameters.data(), other.parameters.data(), count * 2) == 0);
    }
}
