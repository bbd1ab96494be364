#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# beside_model.sh ZEROPP-T5 COMMAND...: runs the command in a fresh folder that holds a small T5 as
# t5-base/, and examples of it in train.jsonl.
program=$1
shift
source "$(dirname "$0")/../cli/lib.sh" "$program"
make_model
mv tiny t5-base
"$@"
