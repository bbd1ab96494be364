#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# One step of t5-small, ours and PyTorch DDP's, in turn: bench/compare_ddp.sh BENCH_STEP PYTHON [PAIRS]
# BENCH_STEP: the built bench_step; PYTHON: one that has torch and transformers.
set -euo pipefail
[ $# -ge 2 ] || { echo "usage: $0 BENCH_STEP PYTHON [PAIRS]" >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
for ((pair = 1; pair <= ${3:-3}; ++pair)); do
    "$1" --benchmark_filter=zero2 2>/dev/null | grep t5_small_step
    "$2" "$here/peers/ddp_step.py"
done
