# SPDX-License-Identifier: Apache-2.0
# For the tests of the programs: source it; they are in the folder $programs, and $t5 is one of them.
# The working folder is a fresh one.
set -uo pipefail
programs=$1
t5=$programs/zeropp-t5
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder" || exit 1
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
failures=0

# Two ranks on this machine, whatever its number of cores; mpirun's own advice on failures is left out.
mpi2=(mpirun --oversubscribe --bind-to none -q -n 2)

complain() {
    echo "FAILED: $*"
    failures=$((failures + 1))
}
# The program must succeed.
works() {
    "$@" >out.txt 2>err.txt || { complain "exit status $? of: $*"; cat out.txt err.txt; }
}
# refuses STATUS SENTENCE COMMAND...: exactly this line on stderr, and this exit status.
refuses() {
    local status=$1 sentence=$2 actual=0
    shift 2
    "$@" >out.txt 2>err.txt || actual=$?
    [ "$actual" = "$status" ] || complain "exit status $actual, expected $status, of: $*"
    [ "$(cat err.txt)" = "$sentence" ] ||
        complain "$*"$'\n'"  says:     $(cat err.txt)"$'\n'"  expected: $sentence"
}
# one_cause SENTENCE COMMAND...: it fails, and says why once, among mpirun's own lines.
one_cause() { # SENTENCE COMMAND...
    local sentence=$1
    shift
    timeout 60 "$@" >out.txt 2>err.txt && complain "no error of: $*"
    [ "$(grep '^zeropp: ' err.txt)" = "$sentence" ] ||
        complain "$*"$'\n'"  says:     $(grep '^zeropp: ' err.txt)"$'\n'"  expected: $sentence"
}
absent() {
    local path
    for path in "$@"; do [ ! -e "$path" ] || complain "$path is there, expected nothing"; done
}
# same NAME FILE FILE: byte for byte.
same() { cmp -s "$2" "$3" || complain "$1: $2 and $3 differ"; }
# has FILE PATTERN: a line of the file matches (extended regular expression).
has() { grep -qE -- "$2" "$1" || { complain "no line of $1 matches: $2"; cat "$1"; }; }
# field LOG EVENT NAME: the values of a number in the log's lines of one event.
field() { sed -nE "s/^\{\"event\":\"$2\".*\"$3\":(\[[^]]*\]|[^,}]*).*/\1/p" "$1"; }

finish() {
    [ "$failures" = 0 ] && echo "all as expected"
    exit $((failures != 0))
}

# A tiny model that trains in milliseconds: tiny/, and sixty examples: train.jsonl, text.txt.
make_model() {
    local i
    for i in $(seq 1 60); do
        echo "{\"article\": \"package number $i of the $((i % 7)) th group does the work of $((i * 37 % 11)) programs\", \"highlights\": \"work $((i * 37 % 11)) of group $((i % 7))\"}"
    done >train.jsonl
    sed 's/[^a-z0-9 ]/ /g' train.jsonl >text.txt
    cat >config.json <<'JSON'
{"model_type": "t5", "d_model": 24, "d_kv": 8, "d_ff": 32, "num_layers": 2, "num_decoder_layers": 1,
 "num_heads": 2, "relative_attention_num_buckets": 8, "relative_attention_max_distance": 20,
 "dropout_rate": 0.1, "feed_forward_proj": "gated-gelu", "vocab_size": 192}
JSON
    works "$t5" init --config config.json --tokenizer-text text.txt --vocab-size 45 --output tiny
}
