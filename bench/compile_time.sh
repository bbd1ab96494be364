#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Seconds and memory of a translation unit that includes trainer.hpp alone (aims: 1.5 s, 250 MB),
# and of the whole release build on two cores (aim: 3 minutes): bench/compile_time.sh [--build]
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
printf '#include <zeropp/trainer.hpp>\nint main() {}\n' >"$work/unit.cpp"
for run in 1 2 3; do
    python3 - "$work" "$root" <<'PY'
import resource, subprocess, sys, time
begin = time.time()
subprocess.check_call(["g++", "-std=c++20", "-O0", "-I", sys.argv[2] + "/include", "-c", sys.argv[1] + "/unit.cpp", "-o", sys.argv[1] + "/unit.o"])
print(f"trainer.hpp: {time.time() - begin:.2f} s, {resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024:.0f} MB")
PY
done
if [ "${1:-}" = --build ]; then
    cmake -S "$root" -B "$work/build" -G Ninja -DZEROPP_BUILD_TESTS=OFF >/dev/null
    SECONDS=0
    ninja -C "$work/build" -j2 >/dev/null
    echo "release build: $SECONDS s"
fi
