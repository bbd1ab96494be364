#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# programs: zeropp-t5 zeropp-prepare_descriptions
# examples/t5/quickstart.sh from text to evaluation: a few steps, on descriptions that are there.
quickstart=$(cd "$(dirname "$0")/../../examples/t5" && pwd)/quickstart.sh
. "$(dirname "$0")/lib.sh"
export ZEROPP_QUICKSTART_PROGRAMS=$programs ZEROPP_QUICKSTART_DIR=$folder/data \
    ZEROPP_QUICKSTART_VOCABULARY=150 ZEROPP_QUICKSTART_STEPS="2 3 4"

refuses 2 "usage: $quickstart [--long]" "$quickstart" --short
ZEROPP_QUICKSTART_STEPS="2 3" refuses 2 \
    "zeropp: ZEROPP_QUICKSTART_STEPS: is '2 3', expected 3 numbers" "$quickstart"
refuses 2 "zeropp: ZEROPP_QUICKSTART_STEPS: is '2 3 4', expected 4 numbers" "$quickstart" --long
absent data

mkdir -p data/lists
awk -v folder=data/lists 'BEGIN {
    split("server client viewer parser daemon editor monitor library", kind)
    split("mail music network image archive weather packet calendar", matter)
    for (i = 0; i < 500; ++i) {
        what = matter[i % 8 + 1] " " kind[int(i / 8) % 8 + 1]
        print "Package: p" i "\nDescription-md5: " i "\n" >(folder "/Packages")
        print "Package: p" i "\nDescription-md5: " i "\nDescription-en: " what " number " i \
            "\n This package holds the " what " of series " i ".\n It reads " matter[i % 5 + 1] \
            " and writes " matter[i % 3 + 1] ".\n" >(folder "/Translation-en")
    }
}'

# A first run takes what steps its minutes allow, and is stopped in its last stage, with all that it
# has started. (A shell's background jobs ignore SIGINT, which is what Ctrl-C sends.)
log=data/short/finetuned.jsonl
ZEROPP_QUICKSTART_STEPS="2 3 timed" setsid "$quickstart" >out.txt 2>err.txt &
job=$!
waited=0
while [ ! -s $log ] && [ $waited -lt 600 ]; do
    sleep 0.1
    waited=$((waited + 1))
done
kill -TERM -- -$job
(sleep 60; kill -KILL -- -$job) >/dev/null 2>&1 & # whatever happens, it ends
guard=$!
status=0
wait $job || status=$?
kill $guard 2>/dev/null
[ $status = 130 ] || { complain "exit status $status of a quickstart that is stopped, expected 130"; cat out.txt err.txt; }
has out.txt "^== pretrained: 2 steps from $folder/data/short/init$"
has out.txt "^== copying: 3 steps from $folder/data/short/pretrained$"
has out.txt "^== finetuned: ([5-9][0-9]{2}|1?[0-9]{4}|20000) steps from $folder/data/short/copying$"
has out.txt "^stopped: the model so far is in $folder/data/short/finetuned; run $quickstart again to go on from it$"
absent data/short/finetuned.done

# The second goes on from there to the end.
works "$quickstart"
has out.txt "^== copying: done before, see $folder/data/short/copying$"
has out.txt '^== finetuned was stopped before: 4 steps from the model so far$'
has out.txt ' on 2 thread ranks, ZeRO stage 2, 4 steps of 32 examples; (bf16, which this processor multiplies natively|fp32, because this processor does not multiply bf16 natively)$'
has out.txt '^== [0-9]+ validation examples; the first ten of them:$'
[ "$(grep -c '^prediction: ' out.txt)" = 10 ] || complain "not ten examples shown"
has out.txt '^== done in [0-9]+ s without installation and build$'
has out.txt '^ROUGE-1 [0-9]+\.[0-9]; the first ten words of the source have [0-9]+\.[0-9]: (the model is better\.|so short a training does not reach that, --long does\.)$'
has out.txt "^a Hugging Face model: $folder/data/short/finetuned$"
for stage in pretrained copying finetuned; do
    [ -s data/short/$stage/model.safetensors ] || complain "no model in data/short/$stage"
done

# The third has nothing to train.
cp data/short/evaluation.json before.json
works "$quickstart"
for stage in pretrained copying finetuned; do
    has out.txt "^== $stage: done before, see $folder/data/short/$stage$"
done
[ "$(grep -c 'thread ranks' out.txt)" = 0 ] || complain "a third run trains: $(cat out.txt)"
same "the evaluations of two runs" data/short/evaluation.json before.json
finish
