#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# programs: zeropp-t5
# zeropp-t5 train stops at a signal, saves the model so far, and says so with exit status 130.
. "$(dirname "$0")/lib.sh"
make_model

# stopped SIGNAL LOG COMMAND...: sends the signal once the log has a step.
stopped() {
    local signal=$1 log=$2 status=0 waited=0
    shift 2
    "$@" >out.txt 2>err.txt &
    local job=$!
    while [ ! -s "$log" ] && [ $waited -lt 300 ]; do
        sleep 0.1
        waited=$((waited + 1))
    done
    kill -"$signal" $job
    (sleep 60; kill -KILL $job) >/dev/null 2>&1 & # whatever happens, it ends
    local guard=$!
    wait $job || status=$?
    kill $guard 2>/dev/null
    [ $status = 130 ] || { complain "exit status $status, expected 130, of: $*"; cat out.txt err.txt; }
    tail -n 1 "$log" >last.txt
    has last.txt '"event":"end","steps":[0-9]+,.*"stopped":true'
}
long=(--model tiny --train train.jsonl --dtype fp32 --steps 100000000 --batch-size 2)
for signal in INT TERM USR1 HUP; do
    stopped $signal $signal.jsonl "$t5" train "${long[@]}" --ranks 2 --output by_$signal --log-jsonl $signal.jsonl
    has out.txt '^stopped by a signal after [0-9]+ steps in '
    works "$t5" eval --model by_$signal --data train.jsonl --dtype fp32
done
# mpirun forwards SIGUSR1 to its ranks; at SIGINT and SIGTERM it allows them one second.
stopped USR1 mpi.jsonl "${mpi2[@]}" "$t5" train "${long[@]}" --comm mpi --output by_mpirun --log-jsonl mpi.jsonl
works "$t5" eval --model by_mpirun --data train.jsonl --dtype fp32
finish
