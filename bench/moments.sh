#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The quickstart's run with moments in fp32, bf16 and 8 bits: losses, ROUGE, peak memory.
# bench/moments.sh ZEROPP_T5 QUICKSTART_DATA FOLDER
# ZEROPP_T5: the built program; QUICKSTART_DATA: build/quickstart-data after examples/t5/quickstart.sh
# or the folder of its text and its new weights; FOLDER: where models and logs go.
set -euo pipefail
[ $# = 3 ] || { echo "usage: $0 ZEROPP_T5 QUICKSTART_DATA FOLDER" >&2; exit 2; }
t5=$1 data=$2 out=$3
mkdir -p "$out"
task=(--source-column description --target-column synopsis --max-source-length 32 --max-target-length 20)
copying=(--source-column description --target-column description --max-source-length 24 --max-target-length 24)

train() { # NAME MODEL STEPS RATE FLAGS...
    local name=$1 model=$2 steps=$3 rate=$4
    shift 4
    "$t5" train --model "$model" --train "$data/text/train.jsonl" --validation "$data/text/evaluated.jsonl" \
        --output "$out/$name" --ranks 2 --zero 2 --dtype bf16 --batch-size 16 --lr "$rate" --steps "$steps" \
        --schedule cosine --warmup-steps 100 --log-jsonl "$out/$name.jsonl" --quiet "$@"
}
for moments in fp32 bf16 8bit; do
    train "pretrained-$moments" "$data/short/init" 200 1e-3 "${task[@]}" --objective span-corruption \
        --optimizer-states "$moments"
    train "copying-$moments" "$out/pretrained-$moments" 1700 2e-3 "${copying[@]}" --optimizer-states "$moments"
    train "finetuned-$moments" "$out/copying-$moments" 2500 2e-3 "${task[@]}" --dropout 0.05 \
        --optimizer-states "$moments"
    "$t5" eval --model "$out/finetuned-$moments" --data "$data/text/evaluated.jsonl" "${task[@]}" --dtype bf16 \
        --rouge --json "$out/finetuned-$moments.json" >/dev/null
    echo "$moments: $(cat "$out/finetuned-$moments.json")"
    grep -h '"event":"end"' "$out/finetuned-$moments.jsonl"
done
