#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# programs: zeropp-t5
# Where results go: standard output and what it is redirected to, pipes that close, full devices,
# names that cannot be made, and a run whose gradients stay without a number.
. "$(dirname "$0")/lib.sh"
make_model
train=("$t5" train --model tiny --train train.jsonl --batch-size 2)

# ---- standard output is written where it stands
echo before >kept.txt
works "$t5" generate --model tiny --data train.jsonl --output plain.jsonl --max-new-tokens 3
{
    echo begin
    "$t5" generate --model tiny --data train.jsonl --output /dev/stdout --max-new-tokens 3
    "$t5" eval --model tiny --data train.jsonl --json /dev/fd/1 | head -n 1
    echo end
} >>kept.txt 2>err.txt || complain "a result on standard output: $(cat err.txt)"
[ "$(head -n 2 kept.txt)" = "before"$'\n'"begin" ] && [ "$(tail -n 1 kept.txt)" = end ] ||
    complain "what stood in the file or came after is lost"
sed '1,2d' kept.txt | head -n -2 | cmp -s - plain.jsonl || complain "predictions differ on standard output"
tail -n 2 kept.txt | head -n 1 | grep -q '^{"loss":' || complain "no result of eval on standard output"
"${train[@]}" --steps 3 --output logged --quiet --log-jsonl /dev/stdout >log.txt || complain "a log on standard output"
[ "$(grep -c '^{"event":"' log.txt)" = "$(wc -l <log.txt)" ] || complain "a log on standard output is not whole"
refuses 1 "zeropp: --output /dev/fd/99: Bad file descriptor, expected a place that can be written to" \
    "$t5" generate --model tiny --data train.jsonl --output /dev/fd/99

# ---- what cannot be written
"$t5" eval --model tiny --data train.jsonl >/dev/full 2>err.txt && complain "eval onto a full device ends well"
[ "$(cat err.txt)" = "zeropp: standard output: No space left on device, expected to write the result" ] ||
    complain "eval onto a full device says: $(cat err.txt)"
"${train[@]}" --steps 500 --steps-per-print 1 --output piped | head -n 1 >first.txt || complain "a reader that goes"
[ -e piped/model.safetensors ] || complain "no model where the reader of the progress goes"
mkfifo log.pipe
head -n 1 log.pipe >first.jsonl &
"${train[@]}" --steps 2000 --output unlogged --quiet --log-jsonl log.pipe 2>err.txt
[ $? = 1 ] && [ "$(cat err.txt)" = "zeropp: log.pipe: Broken pipe, expected to write a line of the log" ] ||
    complain "a log whose reader goes says: $(cat err.txt)"
[ -e unlogged/model.safetensors ] || complain "no model where the reader of the log goes"
ln -s nowhere dangling
refuses 1 "zeropp: --output dangling: is a link to nothing, expected a directory or nothing" \
    "${train[@]}" --steps 3 --output dangling
long=$(printf 'x%.0s' $(seq 250))
refuses 1 "zeropp: --output new/$long: a name in it has 250 bytes, expected at most 246" \
    "${train[@]}" --steps 3 --output "new/$long"
absent new nowhere

# ---- gradients that stay without a number end the run, and keep what was trained before
"$t5" train --model tiny --train train.jsonl --output diverged --lr 1e6 --steps 5000 --batch-size 2 \
    --log-jsonl diverged.jsonl >out.txt 2>err.txt
[ $? = 1 ] || complain "a run that diverges ends with another status than 1"
grep -q '^zeropp: Trainer: gradients were not finite in 10 steps in a row' err.txt ||
    complain "a run that diverges says: $(cat err.txt)"
has out.txt '^stopped by an error after '
has out.txt '^step [0-9]+/5000  skipped, not finite: [a-zA-Z0-9_.]+'
grep '"event":"step"' diverged.jsonl | tail -n 1 >last.txt
has last.txt '"lr":1e\+06,.*"tokens":[1-9][0-9]*,"skipped":true,"non_finite":"[a-zA-Z0-9_.]+"'
[ "$(grep -c '"event":"step"' diverged.jsonl)" = "$(field diverged.jsonl end steps)" ] ||
    complain "a run that diverges has another number of lines than of steps"
grep -q '"event":"end".*"stopped":true' diverged.jsonl || complain "a run that diverges has no last line"
works "$t5" generate --model diverged --data train.jsonl --output diverged.txt --max-new-tokens 3

refuses 1 "zeropp: command line: 2 processes were started (RANK), expected one: only train runs on several" \
    env RANK=0 WORLD_SIZE=2 "$t5" eval --model tiny --data train.jsonl
finish
