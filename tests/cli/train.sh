#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# programs: zeropp-t5
# zeropp-t5 train: thread ranks and MPI ranks, the stages, the log, the order of the examples.
. "$(dirname "$0")/lib.sh"
make_model
common=(--model tiny --train train.jsonl --dtype fp32 --lr 0.01 --steps 6 --batch-size 4)

# Two thread ranks and two processes leave the same bits, and say the same of every step.
works "$t5" train "${common[@]}" --output threads --ranks 2 --log-jsonl threads.jsonl --validation train.jsonl
has out.txt '^Discovered thread settings of world_rank=1, local_rank=1, world_size=2$'
has out.txt ' on 2 thread ranks, ZeRO stage 2, 6 steps of 8 examples; fp32 as --dtype fp32 says$'
has out.txt '^step 6/6  loss [0-9.]+  lr 1.00e-02  [0-9]+ tokens/s  0:00 left  memory [0-9]+ MB \(planned [0-9]+ MB\)$'
has out.txt '^validation after step 6: loss [0-9.]+ over [0-9]+ tokens of 60 examples$'
works "${mpi2[@]}" "$t5" train "${common[@]}" --output processes --comm mpi --log-jsonl processes.jsonl --validation train.jsonl
has out.txt '^Discovered MPI settings of world_rank=1, local_rank=1, world_size=2'
same "threads and processes" threads/model.safetensors processes/model.safetensors
for name in loss lr grad_norm tokens; do
    field threads.jsonl step $name >a.txt
    field processes.jsonl step $name >b.txt
    same "$name of each step" a.txt b.txt
    [ "$(wc -l <a.txt)" = 6 ] || complain "$(wc -l <a.txt) values of $name, expected 6"
done
field threads.jsonl end bytes_sent >a.txt
field processes.jsonl end bytes_sent >b.txt
same "bytes sent" a.txt b.txt

# The log: six steps, a validation, the end.
number='-?[0-9]+(\.[0-9]+)?(e[-+][0-9]+)?'
has threads.jsonl "^\{\"event\":\"step\",\"step\":1,\"loss\":$number,\"lr\":$number,\"grad_norm\":$number,\"seconds\":$number,\"tokens_per_second\":$number,\"tokens\":[0-9]+,\"skipped\":false\}$"
has threads.jsonl "^\{\"event\":\"evaluation\",\"step\":6,\"loss\":$number,\"tokens\":[0-9]+,\"examples\":60,\"seconds\":$number\}$"
tail -n 1 threads.jsonl >last.txt
has last.txt "^\{\"event\":\"end\",\"steps\":6,\"skipped\":0,\"seconds\":$number,\"stopped\":false,\"peak_rss_bytes\":\[[0-9]+\],\"planned_bytes\":\[[0-9]+,[0-9]+\],\"bytes_sent\":\[[0-9]+,[0-9]+\]\}$"
tail -n 1 processes.jsonl >last.txt
has last.txt '"peak_rss_bytes":\[[0-9]+,[0-9]+\]'

# All stages leave the same bits.
for stage in 0 1 3; do
    works "$t5" train "${common[@]}" --output stage$stage --ranks 2 --zero $stage --quiet
    [ ! -s out.txt ] || complain "--quiet says: $(cat out.txt)"
    same "stage $stage" threads/model.safetensors stage$stage/model.safetensors
done

# Recomputation leaves them too, sends as much and plans for less.
works "$t5" train "${common[@]}" --output recomputed --ranks 2 --recompute --log-jsonl recomputed.jsonl --validation train.jsonl
same "with recomputation" threads/model.safetensors recomputed/model.safetensors
field threads.jsonl end bytes_sent >a.txt
field recomputed.jsonl end bytes_sent >b.txt
same "bytes sent with recomputation" a.txt b.txt
planned() { field "$1" end planned_bytes | tr -dc '0-9,' | cut -d, -f1; }
[ "$(planned recomputed.jsonl)" -lt "$(planned threads.jsonl)" ] || complain "--recompute plans for no less"

# What is frozen takes no state and no bytes; its patterns must match something.
sent() { field "$1" end bytes_sent | tr -dc '0-9,' | cut -d, -f1; }
works "$t5" train "${common[@]}" --output frozen --ranks 2 --freeze 'encoder.*' --freeze shared.weight --log-jsonl frozen.jsonl --validation train.jsonl
[ "$(planned frozen.jsonl)" -lt "$(planned threads.jsonl)" ] || complain "--freeze plans for no less"
[ "$(sent frozen.jsonl)" -lt "$(sent threads.jsonl)" ] || complain "--freeze sends no less"
cmp -s frozen/model.safetensors threads/model.safetensors && complain "--freeze changes nothing"
refuses 1 "zeropp: freeze: no parameter is called 'encoders.final*', expected one that the pattern matches, such as 'encoder.final_layer_norm.weight', 'decoder.final_layer_norm.weight', 'encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight'" \
    "$t5" train "${common[@]}" --output refused --ranks 2 --quiet --freeze 'encoders.final*'
refuses 1 "zeropp: freeze: all parameters are frozen, expected at least one to train" \
    "$t5" train "${common[@]}" --output refused --quiet --freeze '*'
absent refused

# --no-shuffle: step k takes examples k G to (k + 1) G.
order=(--dtype fp32 --lr 0.01 --no-shuffle --dropout 0 --quiet --batch-size 8)
head -n 8 train.jsonl >first.jsonl
sed -n 9,16p train.jsonl >second.jsonl
works "$t5" train "${order[@]}" --model tiny --train train.jsonl --steps 2 --output one --log-jsonl one.jsonl
works "$t5" train "${order[@]}" --model tiny --train first.jsonl --steps 1 --output a --log-jsonl a.jsonl
works "$t5" train "${order[@]}" --model a --train second.jsonl --steps 1 --output b --log-jsonl b.jsonl
field one.jsonl step tokens >one.txt
{ field a.jsonl step tokens; field b.jsonl step tokens; } >ab.txt
same "tokens of two steps and of the two eights" one.txt ab.txt
field one.jsonl step loss | head -n 1 >one.txt
field a.jsonl step loss >a.txt
same "loss of step 1 and of the first eight" one.txt a.txt

# The learning rate rises over the first steps, and falls to nothing after the last.
works "$t5" train "${common[@]}" --output rates --quiet --log-jsonl rates.jsonl --schedule linear --warmup-steps 2
[ "$(field rates.jsonl step lr | awk '{ printf "%.4f ", $1 }')" = "0.0050 0.0100 0.0080 0.0060 0.0040 0.0020 " ] ||
    complain "learning rates: $(field rates.jsonl step lr)"

# Settings from a file; the flags may repeat it.
cat >ds_config.json <<'JSON'
{"train_batch_size": 16, "gradient_accumulation_steps": 2,
 "optimizer": {"type": "AdamW", "params": {"lr": 1e-2, "betas": [0.9, 0.999], "eps": 1e-8, "weight_decay": 0}},
 "bf16": {"enabled": false},
 "zero_optimization": {"stage": 1, "reduce_bucket_size": 5e8}}
JSON
works "$t5" train --model tiny --train train.jsonl --output file --deepspeed ds_config.json --ranks 2 --steps 3 --zero 1 --batch-size 4
has out.txt ' on 2 thread ranks, ZeRO stage 1, 3 steps of 16 examples; fp32 as ds_config.json: bf16.enabled says$'
works "$t5" train --model tiny --train train.jsonl --output flags --zero 1 --lr 1e-2 --accumulation 2 --batch-size 4 --dtype fp32 --ranks 2 --steps 3
same "a file and the same flags" file/model.safetensors flags/model.safetensors

echo '{"optimizer": {"type": "AdamW", "params": {"lr": 1e-2}}}' >short.json
works "$t5" train --model tiny --train train.jsonl --output file --deepspeed short.json --steps 1
has out.txt '; fp32 as short.json without a bf16 or fp16 block says$'

# What a file and flags come to is looked at together.
echo '{"scheduler": {"type": "WarmupLR"}, "zero_optimization": {"stage": 1}}' >warm.json
refuses 1 "zeropp: warm.json: scheduler.type is WarmupLR, expected none: Adafactor without lr makes its own rates; give optimizer.params.lr" \
    "$t5" train --model tiny --train train.jsonl --output refused --deepspeed warm.json --optimizer Adafactor --quiet
echo '{"data_types": {"param_dtype": "fp32"}}' >typed.json
refuses 1 'zeropp: typed.json: data_types.param_dtype is "fp32", expected "bf16", as bf16.enabled and fp16.enabled say' \
    "$t5" train --model tiny --train train.jsonl --output refused --deepspeed typed.json --dtype bf16 --quiet
echo '{"optimizer": {"type": "SGD", "params": {"nesterov": true}}}' >nesterov.json
works "$t5" train --model tiny --train train.jsonl --output nesterov --deepspeed nesterov.json --momentum 0.9 --steps 1 --quiet
echo '{"optimizer": {"type": "Adafactor", "params": {"lr": "auto"}}, "scheduler": {"type": "WarmupLR", "params": {"warmup_num_steps": 2}}}' >factor.json
works "$t5" train --model tiny --train train.jsonl --output factor --deepspeed factor.json --lr 1e-3 --steps 1 --quiet

echo '{"scheduler": {"type": "WarmupLR", "params": {"warmup_max_lr": 0.1}}}' >rates.json
refuses 1 "zeropp: command line: --lr is 0.002, expected none: the rates are those of the file's scheduler alone" \
    "$t5" train --model tiny --train train.jsonl --output refused --deepspeed rates.json --lr 2e-3 --steps 2 --quiet
works "$t5" train --model tiny --train train.jsonl --output warm --deepspeed rates.json --warmup-steps 2 --steps 3 --quiet --log-jsonl warm.jsonl
[ "$(field warm.jsonl step lr | tr '\n' ' ')" = "0 0 0.1 " ] || complain "rates: $(field warm.jsonl step lr | tr '\n' ' ')"
echo '{"bf16": {"enabled": true, "bf16_optimizer_states": true}}' >states.json
refuses 1 "zeropp: --optimizer-states is 8bit, expected bf16, as states.json: bf16.bf16_optimizer_states says" \
    "$t5" train --model tiny --train train.jsonl --output refused --deepspeed states.json --optimizer-states 8bit --quiet

works "$t5" train --model tiny --train train.jsonl --output moments --betas 0.8 0.95 --eps 1e-6 --steps 2 --quiet
echo '{"optimizer": {"type": "AdamW", "params": {"betas": [0.8, 0.95], "eps": 1e-6}}}' >moments.json
works "$t5" train --model tiny --train train.jsonl --output moments_file --deepspeed moments.json --zero 2 --steps 2 --quiet
same "--betas and --eps, and those of a file" moments/model.safetensors moments_file/model.safetensors
refuses 1 "zeropp: moments.json: optimizer.params.betas is [0.8, 0.95], expected --betas's [0.9, 0.95]; give one of the two, or the same value" \
    "$t5" train --model tiny --train train.jsonl --output refused --deepspeed moments.json --betas 0.9 0.95 --quiet
refuses 1 "zeropp: command line: --betas is given, expected it with AdamW, Adam, Lamb or Lion alone" \
    "$t5" train --model tiny --train train.jsonl --output refused --optimizer SGD --betas 0.9 0.95 --quiet
refuses 1 "zeropp: command line: --eps is given, expected it with AdamW, Adam, Lamb or Adagrad alone" \
    "$t5" train --model tiny --train train.jsonl --output refused --optimizer Lion --eps 1e-6 --quiet

# Span corruption reads the sources only; bf16 trains too; an epoch is whole steps.
works "$t5" train --model tiny --train train.jsonl --output spans --objective span-corruption --target-column nothing --steps 2 --validation train.jsonl --dtype bf16
has out.txt '; bf16 as --dtype bf16 says$'
works "$t5" train --model tiny --train train.jsonl --output epochs --epochs 2 --batch-size 16 --dtype fp32
has out.txt ', 6 steps of 16 examples;'

# What was made can be evaluated and generated from, the same in any batches.
works "$t5" eval --model threads --data train.jsonl --dtype fp32 --batch 7
cp out.txt seven.json
has seven.json "^\{\"loss\":$number,\"tokens\":[0-9]+,\"examples\":60\}$"
works "$t5" eval --model threads --data train.jsonl --dtype fp32 --rouge --max-target-length 12 --json rouge.json
has rouge.json "^\{\"loss\":$number,\"tokens\":[0-9]+,\"examples\":60,\"rouge1\":$number,\"rouge2\":$number,\"rougeL\":$number,\"first_words_rouge1\":$number,\"first_words_rouge2\":$number,\"first_words_rougeL\":$number\}$"
has out.txt '^the source.s first ten words +ROUGE-1 [0-9.]+  ROUGE-2 [0-9.]+  ROUGE-L [0-9.]+$'
[ "$(grep -c '^prediction: ' out.txt)" = 10 ] || complain "not ten examples shown"
works "$t5" generate --model threads --data train.jsonl --dtype fp32 --max-new-tokens 6 --output p1.jsonl --batch 1
works "$t5" generate --model threads --data train.jsonl --dtype fp32 --max-new-tokens 6 --output p9.jsonl --batch 9
same "predictions in batches of 1 and 9" p1.jsonl p9.jsonl
[ "$(grep -cE '^\{"prediction":".*","token_ids":\[[0-9]+(,[0-9]+){0,5}\]\}$' p1.jsonl)" = 60 ] || complain "p1.jsonl: $(head -n 2 p1.jsonl)"

# In fp16 too, whose numbers have eleven bits: the loss is another by less than half a per cent.
works "$t5" eval --model threads --data train.jsonl --dtype fp16 --batch 7
has out.txt "^\{\"loss\":$number,\"tokens\":[0-9]+,\"examples\":60\}$"
near() { awk -v a="$(grep -oE '"loss":[0-9.]+' "$1")" -v b="$(grep -oE '"loss":[0-9.]+' "$2")" \
    'BEGIN { sub(/.*:/, "", a); sub(/.*:/, "", b); exit !(a > 0.995 * b && a < 1.005 * b) }'; }
near out.txt seven.json || complain "loss in fp16 $(cat out.txt), in fp32 $(cat seven.json)"
works "$t5" generate --model threads --data train.jsonl --dtype fp16 --max-new-tokens 6 --output half.jsonl
[ "$(grep -c '^{"prediction":"' half.jsonl)" = 60 ] || complain "half.jsonl: $(head -n 2 half.jsonl)"

# Pipes are read and written as they are.
works "$t5" eval --model threads --data <(cat train.jsonl) --dtype fp32 --batch 7
same "a pipe and its file" out.txt seven.json
"$t5" eval --model threads --data train.jsonl --dtype fp32 --batch 7 --json /dev/stdout 2>err.txt | cat >out.txt
head -n 1 out.txt >first.txt
same "--json /dev/stdout" first.txt seven.json
: >target.json
ln -s target.json link.json
works "$t5" eval --model threads --data train.jsonl --dtype fp32 --batch 7 --json link.json
same "--json of a link" target.json seven.json
[ -L link.json ] || complain "the link was replaced"

# A log that cannot be written ends the run: the model so far is saved, the cause is said.
status=0
"$t5" train "${common[@]}" --output logged --ranks 2 --quiet --log-jsonl /dev/full 2>err.txt || status=$?
[ $status = 1 ] || complain "exit status $status with a log that cannot be written"
has err.txt '^zeropp: /dev/full: No space left on device, expected to write a line of the log$'
works "$t5" eval --model logged --data train.jsonl
finish
