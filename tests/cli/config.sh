#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# programs: zeropp-info zeropp-t5
# zeropp-info config: reports of files that people use (tests/io/configs), sentences for what is
# refused, and the table that docs/deepspeed.md shows.
docs=$(cd "$(dirname "$0")/../../docs" && pwd)
configs=$(cd "$(dirname "$0")/../io/configs" && pwd)
. "$(dirname "$0")/lib.sh"
info=$programs/zeropp-info
cp "$configs"/*.json .
unset RANK LOCAL_RANK WORLD_SIZE

# config TEXT: what ds.json says.
config() { printf '%s\n' "$1" >ds.json; }
# refused SENTENCE TEXT [OPTION...]: of ds.json on standard error, and nothing on standard output.
refused() {
    local sentence=$1
    config "$2"
    shift 2
    refuses 1 "zeropp: ds.json$sentence" "$info" config ds.json "$@"
    [ ! -s out.txt ] || complain "a refused file has a report: $(cat ds.json)"
}
# resolves NAME VALUE TEXT [OPTION...]
resolves() {
    local name=$1 value=$2
    config "$3"
    shift 3
    works "$info" config ds.json "$@"
    has out.txt "^$name +$value\$"
}

# ---- real files: their whole report. Anew: zeropp-info config NAME.json --world N --json
reports() { # NAME WORLD
    works "$info" config "$1.json" --world "$2" --json
    same "the report of $1.json" "$configs/expected/$1.json" out.txt
    [ ! -s err.txt ] || complain "$1.json has warnings: $(cat err.txt)"
}
reports guide-training 4
reports guide-batch 1
reports guide-zero 2
reports guide-fp16 2
reports hf-zero2 2
reports hf-zero3 8
offload='which is not supported, expected "none"; state stays on the device; use a higher stage, more ranks or --optimizer-states'
refuses 1 "zeropp: hf-zero3-offload.json: zero_optimization.offload_optimizer.device is \"cpu\", $offload
zeropp: hf-zero3-offload.json: zero_optimization.offload_param.device is \"cpu\", $offload" \
    "$info" config hf-zero3-offload.json --world 8 --json
[ ! -s out.txt ] || complain "a refused file has a report"
works "$info" config hf-zero3-offload.json --world 8 --json --lenient
same "the lenient report of hf-zero3-offload.json" "$configs/expected/hf-zero3-offload.json" out.txt
[ "$(grep -c '^zeropp: warning: hf-zero3-offload.json: zero_optimization.offload_.* is "cpu", which is not supported' err.txt)" = 2 ] ||
    complain "warnings: $(cat err.txt)"
refuses 1 "zeropp: guide-batch.json: train_batch_size is 128, expected 512 = 16 (guide-batch.json: train_micro_batch_size_per_gpu) * 8 (guide-batch.json: gradient_accumulation_steps) * 4 ranks" \
    "$info" config guide-batch.json --world 4

# ---- a training has the values of the report
make_model
rm config.json
cat >ds.json <<'JSON'
{"train_batch_size": "auto", "train_micro_batch_size_per_gpu": "auto", "gradient_accumulation_steps": "auto",
 "zero_optimization": {"stage": 1},
 "optimizer": {"type": "AdamW", "params": {"lr": "auto", "betas": "auto", "eps": "auto", "weight_decay": "auto"}},
 "scheduler": {"type": "WarmupDecayLR", "params": {"total_num_steps": "auto", "warmup_max_lr": "auto", "warmup_num_steps": "auto"}}}
JSON
works "$info" config ds.json --world 2
mv out.txt report.txt
has report.txt '^scheduler\.params\.total_num_steps = auto -> all steps \(--steps\) +honoured +where the decay ends$'
has report.txt "^scheduler\.params\.warmup_max_lr = auto -> 0\.001 \(the optimizer's lr\) +honoured "
has report.txt '^train_batch_size = auto -> 16 \(micro-batch \* accumulation \* ranks\) +honoured '
works "$t5" train --model tiny --train train.jsonl --output out --deepspeed ds.json --ranks 2 --steps 20
has out.txt " ZeRO stage $(sed -nE 's/^zero_stage +//p' report.txt), 20 steps of $(sed -nE 's/^train_batch_size  +//p' report.txt) examples; $(sed -nE 's/^precision +//p' report.txt) "

# ---- what "auto" and the rest come to
resolves train_micro_batch_size_per_gpu 4 '{"train_batch_size": 24, "gradient_accumulation_steps": 2, "train_micro_batch_size_per_gpu": "auto"}' --world 3
has out.txt '^train_micro_batch_size_per_gpu = auto -> 4 \(train_batch_size\) '
resolves gradient_accumulation_steps 2 '{"train_batch_size": 24, "gradient_accumulation_steps": "auto", "train_micro_batch_size_per_gpu": 4}' --world 3
has out.txt '^gradient_accumulation_steps = auto -> 2 \(train_batch_size\) '
resolves gradient_type fp32 '{"train_batch_size": 2, "gradient_accumulation_steps": 2, "bf16": {"enabled": true}}'
resolves gradient_type bf16 '{"train_batch_size": 2, "gradient_accumulation_steps": 2, "bf16": {"enabled": true}, "data_types": {"grad_accum_dtype": "bf16"}}'
resolves gradient_clipping '0\.0' '{"gradient_clipping": 0}'
resolves loss_scale dynamic '{"fp16": {"enabled": true}}'
resolves loss_scale 128 '{"fp16": {"enabled": true, "loss_scale": 128}}'
resolves zero_stage 1 '{"zero_optimization": true}'
resolves optimizer Adagrad '{"optimizer": {"type": "adagrad", "params": {"lr": "auto", "eps": "auto"}}}'
has out.txt '^optimizer\.params\.eps = auto -> 1e-10 \(the default\) '
has out.txt '^optimizer\.params\.lr = auto -> 0\.01 \(--lr\) '
resolves learning_rate none '{"optimizer": {"type": "Adafactor"}}'
resolves optimizer_states bf16 '{"bf16": {"enabled": true, "bf16_optimizer_states": true}}'
resolves optimizer_states '8 bits' '{"zeropp": {"optimizer_states": "8bit"}}'
resolves recompute true '{"activation_checkpointing": {"partition_activations": true}}'
resolves bucket_elements 1000 '{"zero_optimization": {"reduce_bucket_size": 1e3}}'
resolves train_batch_size 1680 '{"train_batch_size": 8, "elasticity": {"enabled": true, "max_train_batch_size": 2000, "micro_batch_sizes": [2, 4, 6], "version": 0.1, "ignore_non_elastic_batch_info": true}}' --world 7
has out.txt '^train_batch_size = 8 +harmless +not read: elasticity decides the batch$'
resolves zero_stage 0 '{"tensorboard": {}, "amp": null, "zero_optimization": {"stage": null}}'
has out.txt '^amp = null +harmless +as if it were left out$'
has out.txt '^tensorboard = \{\} +harmless +as if it were left out$'
has out.txt '^zero_optimization\.stage = null +harmless +as if it were left out$'
resolves optimizer AdamW '{"optimizer": {}, "scheduler": {}, "gradient_accumulation_steps": null}'
resolves optimizer AdamW '{"optimizer": {"type": "AdamW", "params": {"torch_adam": true, "weight_decay": "auto", "betas": "auto"}},
  "scheduler": {"type": "OneCycle", "params": {"cycle_min_lr": 0.001, "cycle_max_lr": 0.01}}}'
has out.txt '^optimizer\.params\.weight_decay = auto -> 0\.01 \(--weight-decay\) '
has out.txt '^optimizer\.params\.betas = auto -> \[0\.9,0\.99\] \(the default\) '
resolves optimizer Adafactor '{"optimizer": {"type": "Adafactor", "params": {"lr": "auto"}}, "scheduler": {"type": "WarmupLR"}}'
resolves precision bf16 '{"bf16": {"enabled": true}, "fp16": {"enabled": false, "initial_scale_power": -3}}'
name=$(printf 'odd-\377.json')
config '{"train_batch_size": 8}' && cp ds.json "$name"
works "$info" config "$name" --json
has out.txt '"file": "odd-.+\.json"'
elastic='{"elasticity": {"enabled": true, "max_train_batch_size": 2000, "micro_batch_sizes": [2, 4, 6], "version": 0.1}}'
resolves train_batch_size 1680 "$elastic" --world 7
has out.txt '^gradient_accumulation_steps +40$'
refused ": elasticity gives batches of 1680 on 11 ranks, expected one of 1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 15 ... ranks" "$elastic" --world 11

# ---- what is refused
refuses 1 "zeropp: nothing.json: No such file or directory, expected a readable file" "$info" config nothing.json
refuses 1 "zeropp: tiny: is a directory, expected a readable file" "$info" config tiny
refused ": is empty, expected JSON" ""
refused ": column 3: syntax error while parsing value - invalid literal; last read: 'tra', expected JSON" 'train_batch_size: 8'
refused ": has comments, expected JSON, which has none; take them out" '{// examples
 "train_batch_size": 8}'
refused ": zero_optimization.stage is given twice, expected once" '{"zero_optimization": {"stage": 1, "stage": 2}}'
refused ": the file is [1], expected an object" '[1]'
refused ": train_batch_size is 20, expected 24 = 2 (ds.json: train_micro_batch_size_per_gpu) * 3 (ds.json: gradient_accumulation_steps) * 4 ranks" \
    '{"train_batch_size": 20, "train_micro_batch_size_per_gpu": 2, "gradient_accumulation_steps": 3}' --world 4
refused ": train_batch_size is 9, expected a multiple of 2 ranks; the nearest are 8 and 10" '{"train_batch_size": 9}' --world 2
refused ": trian_batch_size is no key of DeepSpeed's, expected train_batch_size" '{"trian_batch_size": 8}'
refused ': wandb.two\nlines is no key of DeepSpeed'"'"'s, expected a known one, the nearest is wandb.enabled; docs/deepspeed.md has them all' \
    '{"wandb": {"two\nlines": 1}}'
refused ": zero_optimization.reduce_bucket_sise is no key of DeepSpeed's, expected zero_optimization.reduce_bucket_size" \
    '{"zero_optimization": {"reduce_bucket_sise": 5e8}}' --lenient
refused ": train_batch_sise is no key of DeepSpeed's, expected train_batch_size
zeropp: ds.json: zero_optimization.stage is 7, expected 0 to 3" '{"train_batch_sise": 8, "zero_optimization": {"stage": 7}}'
refused ": neither train_batch_size nor train_micro_batch_size_per_gpu is given, expected at least one" '{"gradient_accumulation_steps": 4}' --world 4
refused ": neither train_batch_size nor train_micro_batch_size_per_gpu is given, expected at least one" '{}' --world 4
refused ": column 22: a value is Infinity, expected a finite number: JSON has no others" '{"train_batch_size": Infinity}'
refused ": data_types.grad_accum_dtype is \"bf16\", expected \"fp32\": the model is in fp32" '{"data_types": {"grad_accum_dtype": "bf16"}}'
cat >many.json <<'JSON'
{"amp": {"enabled": true}, "autotuning": {"enabled": true}, "comet": {"enabled": true},
 "compression_training": {"layer_reduction": {}}, "curriculum_learning": {"enabled": true},
 "data_efficiency": {"enabled": true}, "eigenvalue": {"enabled": true}, "hybrid_engine": {"enabled": true},
 "pipeline": {"stages": 2}, "sparse_gradients": true, "torch_autocast": {"enabled": true}, "wandb": {"enabled": true}}
JSON
for lenient in "" --lenient; do
    status=1 warning=""
    [ -z "$lenient" ] || status=0 warning="warning: "
    "$info" config many.json --json $lenient >out.txt 2>err.txt
    [ $? = $status ] || complain "another exit status of many.json $lenient than $status"
    [ "$(wc -l <err.txt)" = 10 ] || complain "many.json $lenient has $(wc -l <err.txt) sentences, expected 10"
    has err.txt "^zeropp: ${warning}many\.json: amp\.enabled is true, which is not supported, expected false; of apex; use \"bf16\" or \"fp16\"$"
    has err.txt "^zeropp: ${warning}many\.json: 3 further keys are not supported, expected none$"
done
[ "$(grep -c '"fate": "not supported"' out.txt)" = 12 ] || complain "the lenient report of many.json: $(cat out.txt)"

# ---- the command line
refuses 2 "zeropp: command line: FILE is required; see zeropp-info --help" "$info" config
refuses 2 "zeropp: command line: --world: 0 is given, expected 1 to 1048576; see zeropp-info --help" "$info" config ds.json --world 0
refuses 2 "zeropp: command line: config excludes --ranks; see zeropp-info --help" "$info" --ranks 2 config ds.json
refuses 2 "zeropp: command line: FILE excludes --table; see zeropp-info --help" "$info" config ds.json --table
refuses 1 "zeropp: standard output: cannot be written, expected a reader with room" \
    bash -c '"$0" config guide-batch.json >/dev/full' "$info"

# ---- docs/deepspeed.md
works "$info" config --table
sed -n '/^<!-- zeropp-info config --table -->$/,/^<!-- end of the table -->$/p' "$docs/deepspeed.md" | sed '1d;$d' >shown.txt
same "the table of docs/deepspeed.md, which is to be printed anew by zeropp-info config --table" shown.txt out.txt
cp guide-training.json ds_config.json
works "$info" config ds_config.json --world 4
sed -n '/^```text$/,/^```$/p' "$docs/deepspeed.md" | sed '1d;$d' >shown.txt
[ -s shown.txt ] || complain "docs/deepspeed.md shows no report"
same "the report in docs/deepspeed.md, which is to be printed anew" shown.txt out.txt
config "$(sed -n '/^```json$/,/^```$/p' "$docs/deepspeed.md" | sed '1d;$d')"
works "$info" config ds.json
has out.txt '^optimizer_states +8 bits$'
finish
