// SPDX-License-Identifier: Apache-2.0
/// \file The policy pack: any order, each kind at most once, a default for every kind left out.
#pragma once

#include <concepts>
#include <optional>
#include <type_traits>

#include <zeropp/core/precision.hpp>
#include <zeropp/optim/adamw.hpp>
#include <zeropp/optim/rule.hpp>
#include <zeropp/optim/schedule.hpp>
#include <zeropp/zero/options.hpp>
#include <zeropp/zero/stage.hpp>

namespace zeropp {

namespace detail {

template <class T>
struct is_precision : std::false_type {};
template <class E>
struct is_precision<Precision<E>> : std::true_type {};
template <class T>
struct is_stage : std::bool_constant<Stage<T>> {};
template <class T>
struct is_optimizer : std::bool_constant<TrainerOptimizer<T>> {};
template <class T>
struct is_schedule : std::bool_constant<Schedule<T>> {};
template <class T>
struct is_option : std::bool_constant<EngineOptions::has<T>> {};

template <template <class> class Is, class Default, class... Ps>
struct select {
    using type = Default;
};
template <template <class> class Is, class Default, class P, class... Ps>
struct select<Is, Default, P, Ps...>
    : std::conditional_t<Is<P>::value, std::type_identity<P>, select<Is, Default, Ps...>> {};

template <template <class> class Is, class... Ps>
inline constexpr int count = (0 + ... + int(Is<Ps>::value));

template <class T, class... Ps>
inline constexpr int count_same = (0 + ... + int(std::same_as<T, Ps>));

}  // namespace detail

/// What may follow the communicator in a `Trainer`.
template <class P>
concept Policy = detail::is_precision<P>::value || detail::is_stage<P>::value ||
    detail::is_optimizer<P>::value || detail::is_schedule<P>::value || detail::is_option<P>::value;

/// The kinds that become types; the others are values.
template <class... Ps>
struct Policies {
    using Stage = typename detail::select<detail::is_stage, Zero<1>, Ps...>::type;
    using Optimizer = typename detail::select<detail::is_optimizer, AdamW, Ps...>::type;
    template <class Default>
    using PrecisionOr = typename detail::select<detail::is_precision, Default, Ps...>::type;

    static_assert((Policy<Ps> && ...),
                  "zeropp: every further argument of Trainer must be a stage (zero<0> .. zero<3>), "
                  "an optimizer, a schedule, a precision, or an option "
                  "such as ClipNorm or Accumulation");
    static_assert(detail::count<detail::is_stage, Ps...> <= 1,
                  "zeropp: two stages given to Trainer; pass one of zero<0> .. zero<3>");
    static_assert(detail::count<detail::is_optimizer, Ps...> <= 1,
                  "zeropp: two optimizers given to Trainer; pass one");
    static_assert(detail::count<detail::is_schedule, Ps...> <= 1,
                  "zeropp: two schedules given to Trainer; pass one");
    static_assert(detail::count<detail::is_precision, Ps...> <= 1,
                  "zeropp: two precisions given to Trainer; pass one of fp32, bf16, fp16");
    static_assert(((!detail::is_option<Ps>::value || detail::count_same<Ps, Ps...> <= 1) && ...),
                  "zeropp: the same option given twice to Trainer; pass it once");
};

namespace detail {

/// A model of element type E with these policies: a precision among them, if any, is E's.
template <class E, class... Ps>
inline constexpr bool precision_agrees =
    std::same_as<typename Policies<Ps...>::template PrecisionOr<Precision<E>>, Precision<E>>;

template <class... Ps>
EngineOptions options_from(const Ps&... policies) {
    EngineOptions options;
    [[maybe_unused]] const auto take = [&](const auto& policy) {
        using P = std::remove_cvref_t<decltype(policy)>;
        if constexpr (is_option<P>::value) options.template get<P>() = policy;
    };
    (take(policies), ...);
    return options;
}
template <class O, class... Ps>
O optimizer_from(const Ps&... policies) {
    if constexpr (count_same<O, Ps...> == 1) {
        std::optional<O> given;
        const auto take = [&](const auto& policy) {
            if constexpr (std::same_as<std::remove_cvref_t<decltype(policy)>, O>) given = policy;
        };
        (take(policies), ...);
        return *given;
    } else {
        return O{};
    }
}
template <class... Ps>
AnySchedule schedule_from(const Ps&... policies) {
    AnySchedule schedule = Constant{};
    [[maybe_unused]] const auto take = [&](const auto& policy) {
        if constexpr (is_schedule<std::remove_cvref_t<decltype(policy)>>::value) schedule = policy;
    };
    (take(policies), ...);
    return schedule;
}

}  // namespace detail
}  // namespace zeropp
