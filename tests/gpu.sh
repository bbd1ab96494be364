#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds and runs all that needs a GPU, on a machine with the CUDA Toolkit and a C++20 compiler; no
# network, no CMake and no other library.
#   tests/gpu.sh                  the tests, then once more under compute-sanitizer where it is there
#   tests/gpu.sh --quick          without compute-sanitizer
# Variables: NVCC [nvcc], ZEROPP_GPU_BUILD_DIR [build/gpu], ZEROPP_CUDA_ARCHITECTURE [the GPU's own].
# What was left out, and why, is said at the end.
set -euo pipefail

quick=0
case "${1:-}" in
'') ;;
--quick) quick=1 ;;
*)
    echo "usage: $0 [--quick]" >&2
    exit 2
    ;;
esac
cd "$(dirname "$0")/.."
build=${ZEROPP_GPU_BUILD_DIR:-$PWD/build/gpu}
nvcc=${NVCC:-$(command -v nvcc || echo /usr/local/cuda/bin/nvcc)}
skipped=()
say() { printf '\n== [%s] %s\n' "$(date -u -d "@$SECONDS" +%H:%M:%S)" "$*"; }
if ! [ -x "$nvcc" ]; then
    echo "zeropp: tests/gpu.sh: there is no nvcc, expected the CUDA Toolkit's on the PATH or in NVCC" >&2
    exit 1
fi
if ! command -v nvidia-smi >/dev/null || ! nvidia-smi -L | grep -q GPU; then
    echo "zeropp: tests/gpu.sh: nvidia-smi lists no GPU, expected one and its driver" >&2
    exit 1
fi
nvidia-smi --query-gpu=name,driver_version,memory.total,compute_cap --format=csv,noheader
architecture=${ZEROPP_CUDA_ARCHITECTURE:-$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader | head -n 1 | tr -d .)}

mkdir -p "$build"
failed=0
for source in tests/cuda/*.cu; do
    program=$build/$(basename "$source" .cu)
    say "building $program for sm_$architecture"
    "$nvcc" -std=c++20 -O2 "-gencode=arch=compute_$architecture,code=sm_$architecture" -Iinclude -Itests \
        "$source" -o "$program"
    say "running $program"
    "$program" || failed=1
    if [ "$quick" = 1 ]; then
        skipped+=("compute-sanitizer: --quick")
    elif command -v compute-sanitizer >/dev/null; then
        for tool in memcheck racecheck synccheck; do
            say "$tool"
            compute-sanitizer --tool "$tool" --error-exitcode 9 "$program" >"$build/$tool.log" 2>&1 ||
                { failed=1; tail -n 40 "$build/$tool.log"; }
            tail -n 1 "$build/$tool.log"
        done
    else
        skipped+=("compute-sanitizer: not on the PATH")
    fi
done

say "done"
for reason in "${skipped[@]}"; do echo "left out: $reason"; done
[ $failed = 0 ] && echo "all as expected"
exit $failed
