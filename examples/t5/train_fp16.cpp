// SPDX-License-Identifier: Apache-2.0
/// \file Training in fp16: a translation unit a precision, for the compiler's memory.
#include "train_rank.hpp"

template bool train_rank<zeropp::Half>(const TrainRun&, ThreadRank&);
template bool train_rank<zeropp::Half>(const TrainRun&, MpiRank&);
