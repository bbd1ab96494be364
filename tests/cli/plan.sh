#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# programs: zeropp-plan zeropp-t5
# zeropp-plan says what zeropp-t5 train then takes and sends, what docs/plan.md shows, draws
# docs/plan.svg, and refuses in one sentence.
docs=$(cd "$(dirname "$0")/../../docs" && pwd)
. "$(dirname "$0")/lib.sh"
plan=$programs/zeropp-plan

# ---- the documents
grep -h '^zeropp-plan ' "$docs/plan.md" | sed "s|docs/plan.svg|plan.svg|" >commands.txt
[ "$(wc -l <commands.txt)" = 2 ] || complain "docs/plan.md has other commands than this test knows"
works "$plan" $(sed -n '1s/^zeropp-plan //p' commands.txt)
sed -n '/^```text$/,/^```$/p' "$docs/plan.md" | sed '1d;$d' >shown.txt
same "the table of docs/plan.md, which is to be printed anew" shown.txt out.txt
works "$plan" $(sed -n '2s/^zeropp-plan //p' commands.txt)
same "docs/plan.svg, which is to be drawn anew by the command in docs/plan.md" "$docs/plan.svg" plan.svg

# ---- where a model comes from
works "$plan" --model t5-small --world 2 --json
mv out.txt preset.json
cat >config.json <<'JSON'
{"model_type": "t5", "d_model": 512, "d_kv": 64, "d_ff": 2048, "num_layers": 6, "num_heads": 8,
 "relative_attention_num_buckets": 32, "dropout_rate": 0.1, "vocab_size": 32128}
JSON
mkdir t5-small
mv config.json t5-small
works "$plan" --model ./t5-small/ --world 2 --json  # no weights are there
same "a directory and the name of its model" preset.json out.txt
works "$plan" --model t5-small/config.json --world 2
has out.txt '^config.json, 60506624 parameters, on 2 thread ranks; AdamW; micro-batch 8 of 512 source and 128 target tokens$'

# ---- what a DeepSpeed file says
echo '{"train_batch_size": 48, "gradient_accumulation_steps": 4, "optimizer": {"type": "AdamW"}, "zero_optimization": {"stage": 2}}' >ds.json
works "$plan" --model t5-small --world 4 --deepspeed ds.json --optimizer ADAMW
has out.txt '^MiB of a rank, fp32 +stage 0 +stage 1 +\*stage 2 +stage 3$'
has out.txt '^\*: what ds\.json says$'
has out.txt '^t5-small, .* on 4 thread ranks; AdamW; micro-batch 3 of 512 source and 128 target tokens, 4 micro-steps a step$'
refuses 1 "zeropp: ds.json: optimizer.type is AdamW, expected --optimizer's SGD; give one of the two, or the same value" \
    "$plan" --model t5-small --world 4 --deepspeed ds.json --optimizer sgd
refuses 1 "zeropp: ds.json: gradient_accumulation_steps is 4, expected --accumulation's 2; give one of the two, or the same value" \
    "$plan" --model t5-small --world 4 --deepspeed ds.json --accumulation 2
refuses 1 "zeropp: ds.json: train_batch_size is 48, expected a multiple of 4 (ds.json: gradient_accumulation_steps) * 5 ranks; the nearest are 40 and 60" \
    "$plan" --model t5-small --world 5 --deepspeed ds.json

# ---- a file that asks for what there is not
echo '{"train_batch_size": 8, "zero_optimization": {"offload_param": {"device": "cpu"}}}' >offload.json
refuses 1 'zeropp: offload.json: zero_optimization.offload_param.device is "cpu", which is not supported, expected "none"; state stays on the device; use a higher stage, more ranks or --optimizer-states' \
    "$plan" --model t5-small --world 2 --deepspeed offload.json
works "$plan" --model t5-small --world 2 --deepspeed offload.json --lenient --devices-memory 16GiB
has err.txt '^zeropp: warning: offload\.json: zero_optimization\.offload_param\.device is "cpu"'
has out.txt '^micro-batch within 16\.0 GiB'

refuses 1 "zeropp: command line: --lenient is given, expected it with --deepspeed alone" \
    "$plan" --model t5-small --world 2 --lenient

# ---- MPI's workspace is counted
works "$plan" --model t5-small --world 2 --comm mpi
has out.txt '^communication +125\.5 '

# ---- what a training takes and sends, as its log says
make_model
numbers() { sed -nE "s/^ *\"$1\": ([0-9]+),?$/\1/p" plan.json; }
# agrees HOW FLAGS...: what is planned with these flags is measured of two ranks.
agrees() {
    local how=$1 run
    shift
    works "$plan" --model tiny --world 2 --micro-batch 3 --source-length 40 --target-length 20 --comm $how --json "$@"
    mv out.txt plan.json
    : >measured.txt
    for dtype in fp32 bf16 fp16; do
        for how_kept in "" --recompute; do for stage in 0 1 2 3; do
            run=("$t5" train --model tiny --train train.jsonl --output out --steps 2 --batch-size 3 --max-source-length 40
                --max-target-length 20 --zero $stage --dtype $dtype $how_kept --comm $how --quiet --log-jsonl log.jsonl "$@")
            [ $how = thread ] && run+=(--ranks 2) || run=("${mpi2[@]}" "${run[@]}")
            works "${run[@]}"
            echo "$(field log.jsonl end planned_bytes) $(field log.jsonl end bytes_sent)" >>measured.txt
            rm -rf out log.jsonl
        done; done
    done
    paste -d ' ' <(numbers total_bytes) <(numbers total) |
        while read -r all sent; do echo "[$all,$all] [$((2 * sent)),$((2 * sent))]"; done >planned.txt
    [ "$(wc -l <planned.txt)" = 24 ] || complain "$(wc -l <planned.txt) runs are planned, expected 24"
    same "what is planned and what is measured of two $how ranks with $*" planned.txt measured.txt
}
agrees thread --accumulation 2
mv planned.txt by_stage.txt
agrees mpi --accumulation 2
agrees thread --freeze 'encoder.*' --freeze shared.weight --accumulation 2
cmp -s planned.txt by_stage.txt && complain "--freeze plans as without it"
agrees mpi --freeze 'encoder.*' --freeze shared.weight
agrees thread --freeze '*Attention.?.weight' --freeze '*.DenseReluDense.wi*'
agrees thread --freeze 'decoder.*' --freeze 'encoder.block.0.*'
agrees thread --optimizer SGD
mv planned.txt plain.txt
agrees thread --optimizer SGD --momentum 0.9
cmp -s planned.txt plain.txt && complain "--momentum takes no memory"
for reduce in every_micro_step once_a_step; do
    agrees thread --accumulation 2 --reduce $reduce
    cmp -s planned.txt by_stage.txt && complain "--reduce $reduce plans as by_stage"
done
works "$plan" --model t5-small --world 2 --freeze 'encoder.*' --freeze shared.weight
has out.txt '^t5-small, 60506624 parameters, 25175808 of them trained, on 2 thread ranks; '

# ---- what training refuses is refused in its words
refuses_both() { # SENTENCE FLAGS...
    local sentence=$1
    shift
    refuses 1 "$sentence" "$plan" --model tiny --world 2 "$@"
    refuses 1 "$sentence" "$t5" train --model tiny --train train.jsonl --output out --ranks 2 --quiet "$@"
}
refuses_both "zeropp: freeze: no parameter is called 'encoders.final*', expected one that the pattern matches, such as 'encoder.final_layer_norm.weight', 'decoder.final_layer_norm.weight', 'encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight'" \
    --freeze 'encoders.final*'
refuses_both "zeropp: freeze: all parameters are frozen, expected at least one to train" --freeze '*'
refuses_both "zeropp: command line: --momentum is 0.9, expected it with --optimizer SGD alone" --momentum 0.9
refuses_both "zeropp: command line: --optimizer-states is 8bit, expected an optimizer that keeps moments" \
    --optimizer SGD --optimizer-states 8bit
echo '{"train_batch_size": 16, "optimizer": {"type": "Lamb", "params": {"max_coeff": 0.01, "min_coeff": 0.5}}}' >lamb.json
refuses_both "zeropp: lamb.json: optimizer.params.max_coeff is 0.01, expected at least min_coeff, which is 0.5" --deepspeed lamb.json
echo '{"train_batch_size": 16, "optimizer": {"type": "Adafactor"}, "scheduler": {"type": "WarmupLR"}}' >rates.json
refuses_both "zeropp: rates.json: scheduler.type is WarmupLR, expected none: Adafactor without lr makes its own rates; give optimizer.params.lr" --deepspeed rates.json
absent out

# ---- bad input
refuses 2 "zeropp: command line: --model is required; see zeropp-plan --help" "$plan" --world 2
refuses 2 "zeropp: command line: --world is required; see zeropp-plan --help" "$plan" --model t5-small
refuses 2 "zeropp: command line: --world: 0 is given, expected 1 to 1048576; see zeropp-plan --help" \
    "$plan" --model t5-small --world 0
refuses 2 "zeropp: command line: --micro-batch: 0 is given, expected 1 to 16384; see zeropp-plan --help" \
    "$plan" --model t5-small --world 1 --micro-batch 0
refuses 2 "zeropp: command line: --comm: 'nccl' is given, expected thread or mpi; see zeropp-plan --help" \
    "$plan" --model t5-small --world 1 --comm nccl
refuses 2 "zeropp: command line: --device-memory: '16G' is given, expected a number and KB, MB, GB or TB (powers of 1000) or KiB, MiB, GiB or TiB (of 1024), such as 16GiB; see zeropp-plan --help" \
    "$plan" --model t5-small --world 1 --device-memory 16G
refuses 1 "zeropp: model 't5-tiny' is unknown, expected one of t5-small, t5-base, t5-large, t5-3b, t5-11b, t5-v1_1-small, t5-v1_1-base, t5-v1_1-large, t5-v1_1-xl, t5-v1_1-xxl, flan-t5-small, flan-t5-base, flan-t5-large, flan-t5-xl, flan-t5-xxl, or a config.json" \
    "$plan" --model t5-tiny --world 2
refuses 1 "zeropp: optimizer 'lyon' is unknown, expected \"Adam\", \"AdamW\", \"Lamb\", \"Lion\", \"Adagrad\", \"SGD\" or \"Adafactor\"" \
    "$plan" --model t5-small --world 2 --optimizer lyon
refuses 2 "zeropp: command line: --momentum: 1 is given, expected 0 to 0.999999; see zeropp-plan --help" \
    "$plan" --model t5-small --world 1 --momentum 1
refuses 2 "zeropp: command line: --reduce: 'never' is given, expected by_stage or every_micro_step or once_a_step; see zeropp-plan --help" \
    "$plan" --model t5-small --world 1 --reduce never
refuses 1 "zeropp: --world is 6, expected a multiple of the 4 of --nodes" \
    "$plan" --model t5-small --world 6 --nodes 4
refuses 1 "zeropp: plan: a rank takes at least 76.1 GiB (stage 3, bf16, recomputing, micro-batch 1), expected at most 24.0 GiB, 52.1 GiB less; it would fit on 8 ranks at stage 3" \
    "$plan" --model t5-11b --world 2 --device-memory 24GiB
refuses 1 "zeropp: nowhere/plan.svg: No such file or directory, expected a file that can be written" \
    "$plan" --model t5-small --world 2 --svg nowhere/plan.svg
[ ! -s out.txt ] || complain "a table is printed though the picture cannot be"
refuses 1 "zeropp: standard output: cannot be written, expected a reader with room" \
    bash -c '"$0" --model t5-small --world 2 >/dev/full' "$plan"
finish
