#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# beside_model.sh PROGRAMS COMMAND...: runs the command in a fresh folder that holds a small T5 as
# t5-base/, examples for it in train.jsonl, and a ds_config.json.
programs=$1
shift
source "$(dirname "$0")/../cli/lib.sh" "$programs"
make_model
mv tiny t5-base
echo '{"train_batch_size": 8, "zero_optimization": {"stage": 2}, "bf16": {"enabled": true}}' >ds_config.json
"$@"
