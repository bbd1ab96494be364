// SPDX-License-Identifier: Apache-2.0
/// \file One of two units with every header in it: nothing may be defined twice.
#include "all_headers.hpp"

int other_unit();

int main() { return other_unit(); }
