// SPDX-License-Identifier: Apache-2.0
/// \file The other of two units with every header in it.
#include "all_headers.hpp"

int other_unit() { return 0; }
