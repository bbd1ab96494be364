// SPDX-License-Identifier: Apache-2.0
/// \file The unit that owns the precompiled Catch2 header of all tests.
#include "support/catch.hpp"
