// SPDX-License-Identifier: Apache-2.0
/// \file `Units`: how a tape reaches the parameters of a model's units and their gradients.
#pragma once

#include <cstddef>
#include <span>

#include <zeropp/tensor/scalar.hpp>

namespace zeropp {

/// A reference to any observer with use, release, gradient and ready (model/concepts.hpp:
/// `UnitObserver<E>`), which it borrows. Copyable, two pointers, no virtual base of its own.
template <Scalar E>
class Units {
public:
    Units() = default;
    template <class Observer>
    explicit Units(Observer& observer) : observer_{&observer}, calls_{&calls_of<Observer>} {}

    std::span<const E> use(std::size_t unit) const { return calls_->use(observer_, unit); }
    void release(std::size_t unit) const { calls_->release(observer_, unit); }
    std::span<E> gradient(std::size_t unit) const { return calls_->gradient(observer_, unit); }
    void ready(std::size_t unit) const { calls_->ready(observer_, unit); }

private:
    struct Calls {
        std::span<const E> (*use)(void*, std::size_t);
        void (*release)(void*, std::size_t);
        std::span<E> (*gradient)(void*, std::size_t);
        void (*ready)(void*, std::size_t);
    };
    template <class Observer>
    static constexpr Calls calls_of{
        [](void* self, std::size_t unit) { return static_cast<Observer*>(self)->use(unit); },
        [](void* self, std::size_t unit) { static_cast<Observer*>(self)->release(unit); },
        [](void* self, std::size_t unit) { return static_cast<Observer*>(self)->gradient(unit); },
        [](void* self, std::size_t unit) { static_cast<Observer*>(self)->ready(unit); }};

    void* observer_ = nullptr;
    const Calls* calls_ = nullptr;
};

}  // namespace zeropp
