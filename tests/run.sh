#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# From a bare Debian or Ubuntu to all tests: installs what is missing, builds, runs.
#   tests/run.sh            all tests; then address, undefined and thread sanitizers
#   tests/run.sh --quick    without the sanitizers
#   tests/run.sh --clean    removes the build folders first
set -euo pipefail

quick=0
clean=0
for argument in "$@"; do
    case $argument in
    --quick) quick=1 ;;
    --clean) clean=1 ;;
    *)
        echo "usage: $0 [--quick] [--clean]" >&2
        exit 2
        ;;
    esac
done
cd "$(dirname "$0")/.."
build=$PWD/build
jobs=$(nproc)
say() { printf '\n== [%s] %s\n' "$(date -u -d "@$SECONDS" +%H:%M:%S)" "$*"; }

# ---- packages: only what is missing. The second list is for checks that are left out without it.
needed=(g++ cmake ninja-build pkg-config catch2 nlohmann-json3-dev libcli11-dev libdnnl-dev
    libsentencepiece-dev libopenmpi-dev openmpi-bin)
useful=(clang-14 libclang-rt-14-dev clang-format-14 libbenchmark-dev)
installed() { dpkg-query -W -f '${Status}' "$1" 2>/dev/null | grep -q 'ok installed'; }
if command -v dpkg-query >/dev/null; then
    missing=()
    for package in "${needed[@]}" "${useful[@]}"; do
        installed "$package" || missing+=("$package")
    done
    as_root=()
    [ "$(id -u)" = 0 ] || as_root=(sudo -n)
    if [ ${#missing[@]} -ne 0 ] && { [ "$(id -u)" = 0 ] || sudo -n true 2>/dev/null; }; then
        "${as_root[@]}" apt-get update -qq
        wanted=()
        for package in "${missing[@]}"; do # an optional one may not exist in this release
            [[ " ${useful[*]} " == *" $package "* ]] && ! apt-cache show "$package" >/dev/null 2>&1 && continue
            wanted+=("$package")
        done
        say "installing ${wanted[*]:-nothing}"
        [ ${#wanted[@]} -eq 0 ] || "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
            apt-get install -qq -y --no-install-recommends "${wanted[@]}" >/dev/null
    fi
    absent=()
    for package in "${needed[@]}"; do
        installed "$package" || absent+=("$package")
    done
    if [ ${#absent[@]} -ne 0 ]; then
        echo "tests/run.sh: missing, and not root: apt-get install ${absent[*]}" >&2
        exit 1
    fi
fi

# ---- build: each preset in build/<preset>
presets=(release)
prefix=()
if [ "$quick" = 0 ]; then
    presets+=(asan)
    # The thread sanitizer needs a memory layout that some kernels give only without randomisation.
    probe=$(mktemp -d)
    echo 'int main() {}' >"$probe/probe.cpp"
    g++ -fsanitize=thread "$probe/probe.cpp" -o "$probe/probe"
    if "$probe/probe" 2>/dev/null; then
        presets+=(tsan)
    elif setarch -R "$probe/probe" 2>/dev/null; then
        presets+=(tsan)
        prefix=(setarch -R)
    else
        echo "tests/run.sh: the thread sanitizer does not start on this kernel: its tests are left out"
    fi
    rm -r "$probe"
fi
mkdir -p "$build"
: >"$build/CTestTestfile.cmake"
for preset in "${presets[@]}"; do
    [ "$clean" = 0 ] || rm -rf "${build:?}/$preset"
    say "building $preset in $build/$preset"
    cmake --preset "$preset"
    cmake --build "$build/$preset" -j "$jobs"
    echo "subdirs(\"$preset\")" >>"$build/CTestTestfile.cmake"
done

# ---- run: all presets as one set of tests
say "running the tests of ${presets[*]}"
exec "${prefix[@]}" ctest --test-dir "$build" --output-on-failure --no-tests=error -j "$jobs"
