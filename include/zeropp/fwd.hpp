// SPDX-License-Identifier: Apache-2.0
/// \file Names without their definitions, for headers that only mention them.
#pragma once

namespace zeropp {

struct Bf16;
struct Half;

class SelfComm;
class ThreadComm;
class MpiComm;

class Spans;
template <int N>
struct Zero;
struct Sgd;
struct MomentumSgd;
struct AdamW;
struct Adam;
struct Lion;
struct Adagrad;
struct Lamb;
struct Adafactor;

struct Step;
class MemoryPlan;

template <class M, class C, class... Policies>
class Trainer;

}  // namespace zeropp
