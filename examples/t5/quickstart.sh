#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# From a bare Debian to a trained T5: package descriptions in, their one-line synopses out.
#   examples/t5/quickstart.sh           eight minutes at most after installation and build
#   examples/t5/quickstart.sh --long    a larger model for longer, see docs/t5.md
# What is there already is used again. Ctrl-C stops training and keeps the model so far.
# Variables that it reads:
#   ZEROPP_BUILD_DIR                 where it builds [build/quickstart]
#   ZEROPP_QUICKSTART_PROGRAMS       folder of programs built before: nothing is installed or built
#   ZEROPP_QUICKSTART_DIR            where data and models go [build/quickstart-data]; lists/ in it,
#                                    as fetch_descriptions.sh writes it, is read instead of fetched
#   ZEROPP_QUICKSTART_VOCABULARY     SentencePiece pieces [4000]
#   ZEROPP_QUICKSTART_STEPS          of the stages [200 1700 and what the minutes allow; with --long
#                                    200 2800 3600 1800]; "timed" is what the minutes allow
set -euo pipefail

# ---- what is trained, and for how long
ranks=2
zero=2
vocabulary=${ZEROPP_QUICKSTART_VOCABULARY:-4000} # without the 100 sentinels
evaluated=1500                                   # validation examples
run=short
# Many narrow heads learn fastest here: 24 of 8 channels need a third fewer steps than 6 of 32. In so
# few minutes a narrow model that takes more steps does better than a wide one.
width=128 inner=320 heads=16 source=32
batch=16 # a rank
# A synopsis takes many of its words from the description. Repeating the beginnings of short pieces
# teaches a small model to copy within minutes; synopses alone do not.
steps=(200 1700 timed) # pre-training, copying, fine-tuning
finetune_rate=2e-3
seconds=465 # of a short run, all but the summary
if [ "${1:-}" = --long ]; then
    run=long
    width=256 inner=768 heads=32 source=40
    steps=(200 2800 3600 1800) # and refining
    finetune_rate=1e-3
    shift
fi
if [ $# -ne 0 ]; then
    echo "usage: $0 [--long]" >&2
    exit 2
fi
stages=${#steps[@]}
[ -z "${ZEROPP_QUICKSTART_STEPS:-}" ] || read -ra steps <<<"$ZEROPP_QUICKSTART_STEPS"
if [ ${#steps[@]} -ne "$stages" ]; then
    echo "zeropp: ZEROPP_QUICKSTART_STEPS: is '$ZEROPP_QUICKSTART_STEPS', expected $stages numbers" >&2
    exit 2
fi
task=(--source-column description --target-column synopsis --max-source-length "$source" --max-target-length 20)
copying=(--source-column description --target-column description --max-source-length 24 --max-target-length 24)

root=$(cd "$(dirname "$0")/../.." && pwd)
build=${ZEROPP_BUILD_DIR:-$root/build/quickstart}
work=${ZEROPP_QUICKSTART_DIR:-$root/build/quickstart-data}
here=$root/examples/t5
out=$work/$run
say() { printf '\n== %s\n' "$*"; }

# ---- packages: only what is missing
install() {
    local package missing=() as_root=()
    for package in g++ cmake ninja-build pkg-config nlohmann-json3-dev libcli11-dev libdnnl-dev \
        libsentencepiece-dev libopenmpi-dev openmpi-bin; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
    done
    [ ${#missing[@]} -ne 0 ] || return 0
    say "installing ${missing[*]}"
    [ "$(id -u)" = 0 ] || as_root=(sudo)
    "${as_root[@]}" apt-get update -qq
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends \
        "${missing[@]}" >/dev/null
}

mkdir -p "$out"
programs=${ZEROPP_QUICKSTART_PROGRAMS:-}
if [ -z "$programs" ]; then
    install
    say "building in release mode in $build (once; a few minutes)"
    { cmake -S "$root" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DZEROPP_BUILD_TESTS=OFF &&
        cmake --build "$build" --target zeropp-t5 zeropp-prepare_descriptions; } >"$work/build.log" 2>&1 ||
        { tail -n 40 "$work/build.log" >&2; exit 1; }
    programs=$build/examples
    echo "built in $SECONDS s, with the installation"
fi
t5=$programs/zeropp-t5
prepare=$programs/zeropp-prepare_descriptions
started=$SECONDS

# ---- text: descriptions of packages, split by source package
if [ ! -e "$work/text.done" ]; then
    say "fetching package descriptions into $work/lists (the system's own lists are left alone)"
    "$here/fetch_descriptions.sh" "$work/lists"
    "$prepare" --lists "$work/lists" --output "$work/text"
    head -n "$evaluated" "$work/text/validation.jsonl" >"$work/text/evaluated.jsonl"
    touch "$work/text.done"
fi

if [ ! -e "$out/init/model.safetensors" ]; then
    say "a tokenizer of $vocabulary pieces, and new weights"
    cat >"$out/config.json" <<JSON
{
  "model_type": "t5", "architectures": ["T5ForConditionalGeneration"],
  "d_model": $width, "d_kv": 8, "d_ff": $inner, "num_heads": $heads,
  "num_layers": 2, "num_decoder_layers": 2,
  "relative_attention_num_buckets": 32, "relative_attention_max_distance": 128,
  "dropout_rate": 0.0, "feed_forward_proj": "gated-gelu", "initializer_factor": 1.0
}
JSON
    "$t5" init --config "$out/config.json" --tokenizer-text "$work/text/train.txt" \
        --vocab-size "$vocabulary" --output "$out/init"
fi

# ---- training. A stage that was stopped has no .done file: it starts again from the model so far.
train() { # STAGE MODEL STEPS RATE FLAGS...
    local stage=$1 model=$2 steps=$3 rate=$4 status=0
    shift 4
    if [ -e "$out/$stage.done" ]; then
        say "$stage: done before, see $out/$stage"
        return
    fi
    if [ -e "$out/$stage/model.safetensors" ]; then
        model=$out/$stage
        say "$stage was stopped before: $steps steps from the model so far"
    else
        say "$stage: $steps steps from $model"
    fi
    cat >"$out/$stage.ds_config.json" <<JSON
{
  "train_micro_batch_size_per_gpu": $batch,
  "gradient_accumulation_steps": 1,
  "gradient_clipping": 1.0,
  "optimizer": {"type": "AdamW", "params": {"lr": $rate, "betas": [0.9, 0.98], "eps": 1e-8, "weight_decay": 0.0}},
  "zero_optimization": {"stage": $zero}
}
JSON
    "$t5" train --model "$model" --train "$work/text/train.jsonl" --output "$out/$stage" \
        --validation "$work/text/evaluated.jsonl" --deepspeed "$out/$stage.ds_config.json" --ranks "$ranks" \
        --dtype auto \
        --steps "$steps" --schedule cosine --warmup-steps 100 --log-jsonl "$out/$stage.jsonl" \
        "$@" || status=$?
    if [ $status -eq 130 ]; then
        echo "stopped: the model so far is in $out/$stage; run $0 again to go on from it"
        exit 130
    fi
    [ $status -eq 0 ] || exit $status
    touch "$out/$stage.done"
}
# Steps of the fine-tuning that fit into the short run's time: a step of it takes at most 0.85 of one of
# copying, whose median is known, and evaluation as long as some 300. More than 9000 do not help.
timed_steps() {
    sed -nE 's/^\{"event":"step".*"seconds":([0-9.e-]+).*/\1/p' "$out/copying.jsonl" | sort -g |
        awk -v left=$((seconds + started - SECONDS)) '{ step[NR] = $1 } END {
            count = left / (0.85 * step[int((NR + 1) / 2)]) - 300
            print int(count < 500 ? 500 : count > 9000 ? 9000 : count)
        }'
}
trap ':' INT TERM # the program stops by itself and saves; then `train` ends the script
train pretrained "$out/init" "${steps[0]}" 1e-3 "${task[@]}" --objective span-corruption
train copying "$out/pretrained" "${steps[1]}" 2e-3 "${copying[@]}"
[ "${steps[2]}" != timed ] || steps[2]=$(timed_steps)
# Without dropout what is seen more than once is soon learnt by heart.
dropout=0.05
[ "${steps[2]}" -lt 6000 ] && [ "$run" = short ] || dropout=0.1
train finetuned "$out/copying" "${steps[2]}" "$finetune_rate" "${task[@]}" --dropout "$dropout"
model=$out/finetuned
if [ "$run" = long ]; then
    train refined "$model" "${steps[3]}" 5e-4 "${task[@]}" --dropout "$dropout"
    model=$out/refined
fi

say "$(wc -l <"$work/text/evaluated.jsonl") validation examples; the first ten of them:"
"$t5" eval --model "$model" --data "$work/text/evaluated.jsonl" "${task[@]}" --rouge \
    --batch 64 --json "$out/evaluation.json"

# ---- summary
score() { sed -E "s/.*\"$1\":([0-9.e-]+).*/\1/" "$out/evaluation.json"; }
say "done in $((SECONDS - started)) s without installation and build"
awk -v model="$(score rouge1)" -v trivial="$(score first_words_rouge1)" -v run="$run" 'BEGIN {
    printf "ROUGE-1 %.1f; the first ten words of the source have %.1f: ", 100 * model, 100 * trivial
    if (model > trivial) print "the model is better."
    else if (run == "short") print "so short a training does not reach that, --long does."
    else print "the model does not reach that."
}'
echo "loss by step:" "$out"/*.jsonl
echo "a Hugging Face model: $model"
