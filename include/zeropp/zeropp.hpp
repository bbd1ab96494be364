// SPDX-License-Identifier: Apache-2.0
/// \file All that needs no other library: the trainer, worlds of one and of threads, text without a
/// tokenizer, events. What is named after a component is included by its own name.
#pragma once

#include <zeropp/comm/environment.hpp>
#include <zeropp/comm/self.hpp>
#include <zeropp/comm/thread.hpp>
#include <zeropp/data/csv.hpp>
#include <zeropp/data/loader.hpp>
#include <zeropp/data/rouge.hpp>
#include <zeropp/fwd.hpp>
#include <zeropp/model/freeze.hpp>
#include <zeropp/observe/events.hpp>
#include <zeropp/observe/json_log.hpp>
#include <zeropp/observe/process_memory.hpp>
#include <zeropp/observe/progress.hpp>
#include <zeropp/optim/adafactor.hpp>
#include <zeropp/optim/adagrad.hpp>
#include <zeropp/optim/lamb.hpp>
#include <zeropp/optim/lion.hpp>
#include <zeropp/tensor/ops.hpp>
#include <zeropp/tensor/tape.hpp>
#include <zeropp/trainer.hpp>
#include <zeropp/zero/deepspeed_estimates.hpp>
#include <zeropp/zero/rank_plan.hpp>
