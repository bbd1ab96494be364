#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# programs: zeropp-t5
# What DeepSpeed's observing keys write; and that observing leaves the bits of the model alone.
. "$(dirname "$0")/lib.sh"
make_model
train=("$t5" train --model tiny --train train.jsonl --steps 6 --batch-size 3 --ranks 2)
optimizer='"optimizer": {"type": "AdamW", "params": {"lr": 0.01}}, "zero_optimization": {"stage": 2}, "fp16": {"enabled": true, "initial_scale_power": 8}'
observing='"steps_per_print": 3, "wall_clock_breakdown": true, "memory_breakdown": true, "dump_state": true,
  "csv_monitor": {"enabled": true, "output_path": "csv", "job_name": "run"},
  "tensorboard": {"enabled": true, "output_path": "board", "job_name": "run"},
  "comms_logger": {"enabled": true, "prof_all": true},
  "flops_profiler": {"enabled": true, "profile_step": 2, "output_file": "flops.txt"}'
echo "{$optimizer}" >plain.json
echo "{$optimizer, $observing}" >observed.json
works "${train[@]}" --output plain --deepspeed plain.json --quiet
[ ! -s out.txt ] || complain "nothing is asked for, and printed: $(cat out.txt)"
works "${train[@]}" --output observed --deepspeed observed.json --log-jsonl log.jsonl
same "an observed training" plain/model.safetensors observed/model.safetensors

# ---- csv_monitor: DeepSpeed's files, a row a step, examples so far
for name in train_loss lr loss_scale gradient_norm elapsed_time_ms_forward elapsed_time_ms_backward elapsed_time_ms_step; do
    file=csv/run/Train_Samples_$name.csv
    [ -e "$file" ] || { complain "$file is not there: $(ls csv/run)"; continue; }
    head -n 1 "$file" >first.txt
    has first.txt "^step,$name\$"
    cut -d, -f1 "$file" | sed 1d | tr '\n' ' ' >samples.txt
    has samples.txt '^6 12 18 24 30 36 $'
done
sed 1d csv/run/Train_Samples_loss_scale.csv | cut -d, -f2 | sort -u >scale.txt
has scale.txt '^256$'
sed 1d csv/run/Train_Samples_lr.csv | cut -d, -f2 | sort -u >rates.txt
has rates.txt '^0\.01'

# ---- tensorboard: one file of records, the first of which says its version
events=(board/run/events.out.tfevents.*)
[ ${#events[@]} = 1 ] || complain "event files: ${events[*]}"
grep -aq 'brain.Event:2' "${events[0]}" || complain "${events[0]} has no version"
[ "$(grep -ao 'Train/Samples/train_loss' "${events[0]}" | wc -l)" = 6 ] || complain "not six losses in ${events[0]}"

# ---- tables
has out.txt '^wall clock of a step of rank 0 .*, mean of steps 1 to 3$'
for phase in forward backward reduction update gather data step; do
    has out.txt "^  $phase +[0-9.]+ ms +[0-9.]+ %\$"
done
has out.txt '^memory after step 1$'
has out.txt '^  planned for this rank +[0-9]+ bytes$'
has out.txt '^  fp16.enabled = true$'
has out.txt '^  bucket +0: +[0-9]+ elements in +[0-9]+ tensors, shards of +[0-9]+'
has out.txt '^reduce_scatter +[0-9]+ +[0-9]+ +[0-9]+ +[0-9.]+ +[0-9.]+ +[0-9.]+$'
has out.txt '^all_gather '
has flops.txt '^flops profile of step 3 of rank 0 of 2 '
has flops.txt '^  MFU '
has flops.txt '^encoder.block.0|^  encoder.block.0 '
# What the log says was sent is what the operations' table says.
sent=$(awk '/^(reduce_scatter|all_gather) / { sum += $4 } END { print sum }' out.txt)
[ "$(field log.jsonl end bytes_sent)" = "[$sent,$sent]" ] ||
    complain "operations sent $sent bytes, the log says $(field log.jsonl end bytes_sent)"

# ---- only what is asked for
echo "{$optimizer, \"comms_logger\": {\"enabled\": true, \"prof_all\": false, \"prof_ops\": [\"all_gather\"]}}" >some.json
works "${train[@]}" --output some --deepspeed some.json --quiet
has out.txt '^all_gather '
grep -q '^reduce_scatter ' out.txt && complain "prof_ops are not all, and reduce_scatter is listed"
echo "{$optimizer, \"comms_logger\": {\"enabled\": false}, \"flops_profiler\": {\"enabled\": false}}" >off.json
works "${train[@]}" --output off --deepspeed off.json --quiet
[ ! -s out.txt ] || complain "switched off, and printed: $(cat out.txt)"

# ---- what cannot be written is said before the first step
echo here >file
for monitor in csv_monitor tensorboard; do
    echo "{$optimizer, \"$monitor\": {\"enabled\": true, \"output_path\": \"file\"}}" >bad.json
    "${train[@]}" --output bad --deepspeed bad.json --quiet >out.txt 2>err.txt && complain "$monitor writes into a file"
    [ "$(wc -l <err.txt)" = 1 ] && grep -qx "zeropp: $monitor file/DeepSpeedJobName: Not a directory, expected a place that can be written to" err.txt || complain "$monitor says: $(cat err.txt)"
done
finish
