#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# From a bare Debian to a trained T5: package descriptions in, their one-line synopses out.
#   examples/t5/quickstart.sh           about eight minutes after installation and build
#   examples/t5/quickstart.sh --long    trains for longer
# What is there already is used again. Ctrl-C stops training and keeps the model so far.
set -euo pipefail

# ---- what is trained, and for how long
ranks=2
zero=2
vocabulary=8000 # SentencePiece pieces, without the 100 sentinels
model_config='{
  "model_type": "t5", "architectures": ["T5ForConditionalGeneration"],
  "d_model": 192, "d_kv": 32, "d_ff": 512, "num_layers": 3, "num_decoder_layers": 3, "num_heads": 6,
  "relative_attention_num_buckets": 32, "relative_attention_max_distance": 128,
  "dropout_rate": 0.0, "feed_forward_proj": "gated-gelu", "initializer_factor": 1.0
}'
source_length=96 # tokens
target_length=24
batch=32 # a rank
pretrain_steps=300
pretrain_rate=5e-3
finetune_steps=900
finetune_rate=3e-3
warmup_steps=50
evaluated=1500 # validation examples
if [ "${1:-}" = --long ]; then
    pretrain_steps=3000
    finetune_steps=12000
    shift
fi
if [ $# -ne 0 ]; then
    echo "usage: $0 [--long]" >&2
    exit 2
fi

root=$(cd "$(dirname "$0")/../.." && pwd)
build=${ZEROPP_BUILD_DIR:-$root/build/quickstart}
work=${ZEROPP_QUICKSTART_DIR:-$root/build/quickstart-data}
here=$root/examples/t5
say() { printf '\n== %s\n' "$*"; }

# ---- packages: only what is missing
needed=(g++ cmake ninja-build pkg-config nlohmann-json3-dev libcli11-dev libdnnl-dev
    libsentencepiece-dev libopenmpi-dev openmpi-bin)
missing=()
for package in "${needed[@]}"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
done
if [ ${#missing[@]} -ne 0 ]; then
    say "installing ${missing[*]}"
    as_root=()
    [ "$(id -u)" = 0 ] || as_root=(sudo)
    "${as_root[@]}" apt-get update -qq
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends \
        "${missing[@]}"
fi

mkdir -p "$work"
started=$SECONDS
say "building in release mode: $build"
{ cmake -S "$root" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DZEROPP_BUILD_TESTS=OFF &&
    cmake --build "$build" --target zeropp-t5 zeropp-prepare_descriptions; } >"$work/build.log" 2>&1 ||
    { tail -n 40 "$work/build.log" >&2; exit 1; }
t5=$build/examples/zeropp-t5
prepare=$build/examples/zeropp-prepare_descriptions
echo "built in $((SECONDS - started)) s"
started=$SECONDS

# ---- text: descriptions of packages, split by source package
if [ ! -e "$work/text.done" ]; then
    say "fetching package descriptions into $work/lists (the system's own lists are left alone)"
    "$here/fetch_descriptions.sh" "$work/lists"
    "$prepare" --lists "$work/lists" --output "$work/text"
    touch "$work/text.done"
fi
head -n "$evaluated" "$work/text/validation.jsonl" >"$work/text/evaluated.jsonl"
columns=(--source-column description --target-column synopsis
    --max-source-length "$source_length" --max-target-length "$target_length")

# ---- training. A stage that was stopped has no .done file: it goes on from the model so far.
train() { # STAGE MODEL RATE STEPS FLAGS...
    local stage=$1 model=$2 rate=$3 steps=$4 status=0
    shift 4
    [ ! -e "$work/$stage.done" ] || { say "$stage: done before, see $work/$stage"; return; }
    [ ! -e "$work/$stage/config.json" ] || model=$work/$stage
    cat >"$work/$stage.ds_config.json" <<JSON
{
  "train_micro_batch_size_per_gpu": $batch,
  "gradient_accumulation_steps": 1,
  "optimizer": {"type": "AdamW", "params": {"lr": $rate, "betas": [0.9, 0.99], "eps": 1e-8, "weight_decay": 0.01}},
  "scheduler": {"type": "WarmupLR", "params": {"warmup_num_steps": $warmup_steps, "warmup_type": "linear", "warmup_max_lr": $rate}},
  "zero_optimization": {"stage": $zero}
}
JSON
    say "$stage: $steps steps from $model"
    "$t5" train --model "$model" --train "$work/text/train.jsonl" --output "$work/$stage" \
        --deepspeed "$work/$stage.ds_config.json" --ranks "$ranks" --steps "$steps" \
        --log-jsonl "$work/$stage.jsonl" "${columns[@]}" "$@" || status=$?
    if [ $status -eq 130 ]; then
        echo "stopped: the model so far is in $work/$stage; run $0 again to go on from it"
        exit 130
    fi
    [ $status -eq 0 ] || exit $status
    touch "$work/$stage.done"
}
trap ':' INT TERM # the program stops by itself and saves; then `train` ends the script

if [ ! -e "$work/init/config.json" ]; then
    say "a tokenizer of $vocabulary pieces, and new weights"
    echo "$model_config" >"$work/config.json"
    "$t5" init --config "$work/config.json" --tokenizer-text "$work/text/train.txt" \
        --vocab-size "$vocabulary" --output "$work/init"
fi
train pretrained "$work/init" "$pretrain_rate" "$pretrain_steps" --objective span-corruption
train finetuned "$work/pretrained" "$finetune_rate" "$finetune_steps" \
    --validation "$work/text/evaluated.jsonl"

say "validation: $evaluated examples"
"$t5" eval --model "$work/finetuned" --data "$work/text/evaluated.jsonl" "${columns[@]}" --rouge \
    --json "$work/evaluation.json"
say "done in $((SECONDS - started)) s without installation and build"
echo "A Hugging Face model: $work/finetuned  (loss by step: $work/finetuned.jsonl)"
