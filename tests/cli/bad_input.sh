#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# programs: zeropp-t5
# Bad input: one sentence on stderr, an exit status that is not 0, nothing written.
. "$(dirname "$0")/lib.sh"
make_model
train=("$t5" train --output out --dtype fp32 --steps 2 --batch-size 2 --log-jsonl log.jsonl)
good=(--model tiny --train train.jsonl)

# ---- the command line
refuses 2 "zeropp: command line: A subcommand is required; see zeropp-t5 --help" "$t5"
refuses 2 "zeropp: command line: 'trian' is given, expected init, train, eval or generate" "$t5" trian
refuses 2 "zeropp: command line: --ranks: 0 is given, expected 1 to 1024; see zeropp-t5 --help" \
    "${train[@]}" "${good[@]}" --ranks 0
refuses 2 "zeropp: command line: --zero: 4 is given, expected 0 to 3; see zeropp-t5 --help" \
    "${train[@]}" "${good[@]}" --zero 4
refuses 2 "zeropp: command line: --steps excludes --epochs; see zeropp-t5 --help" \
    "${train[@]}" "${good[@]}" --epochs 2

refuses 2 "zeropp: command line: --seed: 9223372036854775808 is given, expected 0 to 9223372036854775807; see zeropp-t5 --help" \
    "${train[@]}" "${good[@]}" --seed 9223372036854775808
refuses 2 "zeropp: command line: --lr: 1e-400 is given, expected 0 to 1e+06; see zeropp-t5 --help" \
    "${train[@]}" "${good[@]}" --lr 1e-400
refuses 2 "zeropp: command line: --validation: nothing is given, expected a path; see zeropp-t5 --help" \
    "${train[@]}" "${good[@]}" --validation ""
refuses 2 "zeropp: command line: --lr is given more than once, expected once; see zeropp-t5 --help" \
    "${train[@]}" "${good[@]}" --lr 1 --lr 2

# ---- text
refuses 1 "zeropp: nothing.jsonl: No such file or directory, expected a file with an example a line" \
    "${train[@]}" --model tiny --train nothing.jsonl
: >empty.jsonl
refuses 1 "zeropp: empty.jsonl: is empty, expected at least one example" \
    "${train[@]}" --model tiny --train empty.jsonl
{ head -n 2 train.jsonl; echo '{"article": "cut off'; } >broken.jsonl
refuses 1 "zeropp: broken.jsonl: line 3: column 21: syntax error while parsing value - invalid string: missing closing quote; last read: '\"cut off', expected JSON" \
    "${train[@]}" --model tiny --train broken.jsonl
{ head -n 2 train.jsonl; echo '{"article": "a", "summary": "b"}'; } >column.jsonl
refuses 1 "zeropp: column.jsonl: line 3: has no column 'highlights', expected one; its columns are 'article', 'summary'" \
    "${train[@]}" --model tiny --train column.jsonl
refuses 1 "zeropp: column.jsonl: line 3: has no column 'highlights', expected one; its columns are 'article', 'summary'" \
    "${train[@]}" "${good[@]}" --validation column.jsonl
head -n 3 train.jsonl >few.jsonl
refuses 1 "zeropp: Sampler: 3 examples are less than one step takes, expected at least 4 (2 a micro-step and rank x 1 micro-steps x 2 ranks); use a smaller batch or more data" \
    "${train[@]}" --model tiny --train few.jsonl --ranks 2

refuses 1 "zeropp: tiny: is a directory, expected a file with an example a line" \
    "${train[@]}" --model tiny --train tiny
{ head -n 2 train.jsonl; echo '{"article": "", "highlights": "b"}'; } >no_text.jsonl
refuses 1 "zeropp: no_text.jsonl: example 3 has an empty source, expected a text to corrupt" \
    "${train[@]}" "${good[@]}" --validation no_text.jsonl --objective span-corruption

# ---- the model
model() { # NAME: a copy of the tiny model to spoil
    rm -rf "$1"
    cp -r tiny "$1"
}
refuses 1 "zeropp: nowhere: there is no such directory, expected a model's" \
    "${train[@]}" --model nowhere --train train.jsonl
model bare
rm bare/model.safetensors
refuses 1 "zeropp: bare: has no weights, expected model.safetensors or model.safetensors.index.json" \
    "${train[@]}" --model bare --train train.jsonl
model cut
truncate -s -100 cut/model.safetensors
refuses 1 "zeropp: cut/model.safetensors: tensor 'shared.weight': its bytes are 53216 to 71648, expected to lie within the file's 71548; the file is cut short or broken" \
    "${train[@]}" --model cut --train train.jsonl
model hostile
printf '\xff\xff\xff\xff\xff\xff\xff\x7f{}' >hostile/model.safetensors
refuses 1 "zeropp: hostile/model.safetensors: its header claims 9223372036854775807 bytes, expected at most 2; the file is cut short, or no safetensors file" "${train[@]}" --model hostile --train train.jsonl
model shape
sed -i 's/"d_ff": 32/"d_ff": 40/' shape/config.json
refuses 1 "zeropp: shape: tensor 'encoder.block.0.layer.1.DenseReluDense.wi_0.weight' has shape [32, 24], expected [40, 24] by config.json" \
    "${train[@]}" --model shape --train train.jsonl
model nan
printf '\0\0\300\177' | dd of=nan/model.safetensors bs=1 conv=notrunc seek=$(($(stat -c %s nan/model.safetensors) - 4)) 2>/dev/null
nan="zeropp: initial values: 'shared.weight' is nan at element 4607, expected finite numbers"
refuses 1 "$nan" "${train[@]}" --model nan --train train.jsonl
refuses 1 "$nan" "$t5" eval --model nan --data train.jsonl
model generation
echo '[]' >generation/generation_config.json
refuses 1 "zeropp: generation/generation_config.json: is array, expected an object" \
    "${train[@]}" --model generation --train train.jsonl
model pieces
rm pieces/spiece.model
mkdir pieces/spiece.model
refuses 1 "zeropp: pieces/spiece.model: is a directory, expected a SentencePiece model" \
    "${train[@]}" --model pieces --train train.jsonl
model tokenizer
rm tokenizer/spiece.model
echo '{}' >tokenizer/tokenizer.json
refuses 1 "zeropp: tokenizer: holds tokenizer.json but no spiece.model, expected spiece.model; reading tokenizer.json comes in a later version, until then copy spiece.model from the model that this one was made from" \
    "${train[@]}" --model tokenizer --train train.jsonl
sed 's/"vocab_size": 192/"vocab_size": 144/' config.json >small.json
refuses 1 "zeropp: small.json: vocab_size is 144, expected at least 145: --vocab-size and 100 extra ids" \
    "$t5" init --config small.json --tokenizer-text text.txt --vocab-size 45 --output out
works "$t5" init --config small.json --tokenizer-text text.txt --vocab-size 44 --output large
cp tiny/spiece.model large/spiece.model
refuses 1 "zeropp: large: the tokenizer has 145 tokens, expected at most the 144 of the embedding" \
    "${train[@]}" --model large --train train.jsonl
sed 's/"initializer_factor"/"initializer"/; s/"d_model"/"initializer_factor": 1e38, "d_model"/' config.json >factor.json
"$t5" init --config factor.json --tokenizer-text text.txt --vocab-size 45 --output out 2>err.txt && complain "init of infinite weights"
has err.txt "^zeropp: initial values: '.*' is -?(inf|nan) at element [0-9]+, expected finite numbers$"
sed 's/"d_ff": 32/"d_ff": 4000000/; s/"d_model": 24/"d_model": 4000000/' config.json >vast.json
"$t5" init --config vast.json --tokenizer-text text.txt --vocab-size 45 --output out 2>err.txt && complain "init of a vast model"
has err.txt '^zeropp: --output out: [0-9]+ bytes are free there, expected at least [0-9]+ for the model$'
sed 's/4000000/16000000/g' vast.json >countless.json
refuses 1 "zeropp: model: has more than 281474976710656 parameters up to 'encoder.block.0.layer.1.DenseReluDense.wi_1.weight', expected at most as many" \
    "$t5" init --config countless.json --tokenizer-text text.txt --vocab-size 45 --output out
sed 's/"num_layers": [0-9]*/"num_layers": 16777216/' config.json >deep.json
refuses 1 "zeropp: deep.json: num_layers is 16777216, expected 1 to 4096" \
    "$t5" init --config deep.json --tokenizer-text text.txt --vocab-size 45 --output out
sed 's/"d_kv": [0-9]*/"d_kv": 16777216/; s/"num_heads": [0-9]*/"num_heads": 16777216/' config.json >heads.json
refuses 1 "zeropp: heads.json: num_heads * d_kv is 281474976710656, expected 1 to 16777216" \
    "$t5" init --config heads.json --tokenizer-text text.txt --vocab-size 45 --output out
for command in eval generate; do
    refuses 1 "zeropp: bare: has no weights, expected model.safetensors or model.safetensors.index.json" \
        "$t5" $command --model bare --data train.jsonl $([ $command = eval ] || echo --output out)
done

# ---- outputs, tried before the work begins
: >file
refuses 1 "zeropp: --output file/out: Not a directory, expected a place that can be written to" \
    "$t5" train "${good[@]}" --steps 2 --output file/out
refuses 1 "zeropp: --output file: is a file, expected a directory or nothing" \
    "$t5" train "${good[@]}" --steps 2 --output file
refuses 1 "zeropp: --log-jsonl file/log: Not a directory, expected a place that can be written to" \
    "$t5" train "${good[@]}" --steps 2 --output out --log-jsonl file/log
refuses 1 "zeropp: --json file/out: Not a directory, expected a place that can be written to" \
    "$t5" eval --model tiny --data train.jsonl --json file/out
refuses 1 "zeropp: --output file/out: Not a directory, expected a place that can be written to" \
    "$t5" generate --model tiny --data train.jsonl --output file/out
refuses 1 "zeropp: --output file/out: Not a directory, expected a place that can be written to" \
    "$t5" init --config config.json --tokenizer-text text.txt --vocab-size 45 --output file/out

refuses 1 "zeropp: --log-jsonl none/log: No such file or directory, expected a place that can be written to" \
    "$t5" train "${good[@]}" --steps 2 --output out --log-jsonl none/log
refuses 1 "zeropp: --log-jsonl ./train.jsonl: is read from train.jsonl, expected another file than those that are read" \
    "$t5" train "${good[@]}" --steps 2 --output out --log-jsonl ./train.jsonl
refuses 1 "zeropp: --output train.jsonl: is read from train.jsonl, expected another file than those that are read" \
    "$t5" generate --model tiny --data train.jsonl --output train.jsonl
refuses 1 "zeropp: --json tiny/config.json: is read from tiny, expected another file than those that are read" \
    "$t5" eval --model tiny --data train.jsonl --json tiny/config.json
mkdir folder
refuses 1 "zeropp: --json folder: is a directory, expected a file" \
    "$t5" eval --model tiny --data train.jsonl --json folder
refuses 1 "zeropp: --output folder: is a directory, expected a file" \
    "$t5" generate --model tiny --data train.jsonl --output folder
# A file system that is too small for the model: found before training.
if [ "$(id -u)" = 0 ] && mkdir small && mount -t tmpfs -o size=40k tmpfs small 2>/dev/null; then
    # The tokenizer's file counts too, whose size is SentencePiece's affair.
    "$t5" train "${good[@]}" --steps 2 --output small/out >out.txt 2>err.txt && complain "a model in too small a place"
    has err.txt '^zeropp: --output small/out: 40960 bytes are free there, expected at least [0-9]{6} for the model$'
    umount small
fi
# A directory that this user may not write; one that may be, within one that may not.
chmod 755 . && mkdir locked locked/open && chmod 777 locked/open && chmod 555 locked
nobody=()
[ "$(id -u)" != 0 ] || nobody=(setpriv --reuid 65534 --regid 65534 --clear-groups)
if "${nobody[@]}" "$t5" --help >/dev/null 2>&1; then # not where others cannot reach the program
    refuses 1 "zeropp: --output locked: Permission denied, expected a place that can be written to" \
        "${nobody[@]}" "$t5" train "${good[@]}" --steps 2 --output locked
    works "${nobody[@]}" "$t5" train "${good[@]}" --steps 2 --output locked/open --quiet
fi
chmod 755 locked

# ---- settings
ds() { echo "$1" >ds_config.json; }
ds '{"zero_optimization": {"stage": 4}}'
refuses 1 "zeropp: ds_config.json: zero_optimization.stage is 4, expected 0 to 3" \
    "${train[@]}" "${good[@]}" --deepspeed ds_config.json
ds '{"zero_optimization": {"stage": 2, "stage": 3}}'
refuses 1 "zeropp: ds_config.json: zero_optimization.stage is given twice, expected once" \
    "${train[@]}" "${good[@]}" --deepspeed ds_config.json
ds '{"optimizer": {"type": "AdamW", "params": {"amsgrad": true}}}'
refuses 1 "zeropp: ds_config.json: optimizer.params.amsgrad is true, which is not supported, expected false; AdamW without it" \
    "${train[@]}" "${good[@]}" --deepspeed ds_config.json
ds '{"fp16": {"enabled": true}}'
refuses 1 "zeropp: ds_config.json: fp16.enabled is true, expected --dtype fp32's false; give one of the two, or the same value" \
    "${train[@]}" "${good[@]}" --deepspeed ds_config.json
ds '{"zero_optimization": {"stage": 2}, "optimizer": {"type": "AdamW", "params": {"lr": 3e-4}}}'
refuses 1 "zeropp: ds_config.json: zero_optimization.stage is 2, expected --zero's 3; give one of the two, or the same value" \
    "${train[@]}" "${good[@]}" --deepspeed ds_config.json --zero 3
refuses 1 "zeropp: ds_config.json: optimizer.params.lr is 0.0003, expected --lr's 0.001; give one of the two, or the same value" \
    "${train[@]}" "${good[@]}" --deepspeed ds_config.json --lr 1e-3
ds '{"bf16": {"enabled": true}}'
refuses 1 "zeropp: ds_config.json: bf16.enabled is true, expected --dtype fp32's false; give one of the two, or the same value" \
    "${train[@]}" "${good[@]}" --deepspeed ds_config.json
ds '{"optimizer": {"type": "AdamW", "params": {"eps": 1e-60}}}'
refuses 1 "zeropp: ds_config.json: optimizer.params.eps is 1e-60, expected what fits a 32-bit float" \
    "${train[@]}" "${good[@]}" --deepspeed ds_config.json
ds '{"train_batch_size": 9}'
refuses 1 "zeropp: ds_config.json: train_batch_size is 9, expected a multiple of 2 (--batch-size) * 2 ranks; the nearest are 8 and 12" \
    "${train[@]}" "${good[@]}" --deepspeed ds_config.json --ranks 2
ds '{"train_batch_size": 8, "train_micro_batch_size_per_gpu": 2, "gradient_accumulation_steps": 1}'
refuses 1 "zeropp: ds_config.json: train_batch_size is 8, expected 4 = 2 (ds_config.json: train_micro_batch_size_per_gpu) * 1 (ds_config.json: gradient_accumulation_steps) * 2 ranks" \
    "${train[@]}" "${good[@]}" --deepspeed ds_config.json --ranks 2

# ---- processes
on_mpi=("${train[@]}" "${good[@]}" --comm mpi)
one_cause "zeropp: command line: --ranks is 3, expected 2 as mpirun says; leave --ranks out with --comm mpi" \
    "${mpi2[@]}" "${on_mpi[@]}" --ranks 3
one_cause "zeropp: nowhere: there is no such directory, expected a model's" \
    "${mpi2[@]}" "${train[@]}" --model nowhere --train train.jsonl --comm mpi
one_cause "zeropp: command line: 2 processes were started (Open MPI), expected --comm mpi, or one process for thread ranks" \
    "${mpi[@]}" -n 1 "${train[@]}" "${good[@]}" : -n 1 sleep 20
one_cause "zeropp: start-up: --seed is 1 on rank 0 and 2 on rank 1, expected the same on every rank" \
    "${mpi[@]}" -n 1 "${on_mpi[@]}" --seed 1 : -n 1 "${on_mpi[@]}" --seed 2
tac train.jsonl >reversed.jsonl
timeout 60 "${mpi[@]}" -n 1 "${on_mpi[@]}" : -n 1 "${train[@]}" --model tiny --train reversed.jsonl --comm mpi >out.txt 2>err.txt && complain "other texts on rank 1 were accepted"
has err.txt "^zeropp: start-up: --train's texts \(their hash\) is [0-9]+ on rank 0 and [0-9]+ on rank 1, expected the same on every rank$"
one_cause "zeropp: start-up: --lr is 0.001 on rank 0 and 0.01 on rank 1, expected the same on every rank" \
    "${mpi[@]}" -n 1 "${on_mpi[@]}" --lr 1e-3 : -n 1 "${on_mpi[@]}" --lr 1e-2
one_cause "zeropp: nothing.jsonl: No such file or directory, expected a file with an example a line" \
    "${mpi[@]}" -n 1 "${on_mpi[@]}" : -n 1 "${train[@]}" --model tiny --train nothing.jsonl --comm mpi

absent out log.jsonl out.partial
[ -z "$(ls -A | grep -E 'zeropp|partial')" ] || complain "left behind: $(ls -A)"
finish
