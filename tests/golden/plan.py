#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes tests/golden/plan/deepspeed_estimates.json: what DeepSpeed's own estimators say of models' states.

Scratch environment: python3 -m venv v && v/bin/pip install torch transformers deepspeed
"""
import json, pathlib
import deepspeed, torch, transformers
from deepspeed.runtime.zero.stage3 import estimate_zero3_model_states_mem_needs as zero3
from deepspeed.runtime.zero.stage_1_and_2 import estimate_zero2_model_states_mem_needs as zero2

# DeepSpeed's model_to_params tells parameters by their address, which those of the meta device have not.
def sizes(**config):
    with torch.device("meta"):
        model = transformers.T5ForConditionalGeneration(transformers.T5Config(**config))
    parameters = sum(p.numel() for p in model.parameters())
    largest = max(sum(p.numel() for p in m.parameters(recurse=False)) for m in model.modules())
    return parameters, largest

models = {
    "t5-small": sizes(vocab_size=32128, d_model=512, d_kv=64, d_ff=2048, num_layers=6, num_heads=8),
    "t5-3b": sizes(vocab_size=32128, d_model=1024, d_kv=128, d_ff=16384, num_layers=24, num_heads=32),
    "t5-11b": sizes(vocab_size=32128, d_model=1024, d_kv=128, d_ff=65536, num_layers=24, num_heads=128),
    "a round 3b": (2_851_000_000, 32_900_000),
    "odd": (12_345_679, 98_765),
}
cases = []
for name, (parameters, largest) in models.items():
    for ranks_a_node, nodes in ((1, 1), (3, 1), (8, 1), (8, 3), (4, 16)):
        case = {"model": name, "parameters": parameters, "largest_layer": largest, "ranks_a_node": ranks_a_node,
                "nodes": nodes, "zero2": {}, "zero3": {}}
        for offload in (False, True):
            case["zero2"][f"offload={offload}"] = zero2(parameters, ranks_a_node, nodes, offload)
            for offload_parameters in (False, True) if offload else (False,):
                for zero_init in (False, True):
                    key = f"offload={offload} offload_parameters={offload_parameters} zero_init={zero_init}"
                    case["zero3"][key] = zero3(parameters, largest, ranks_a_node, nodes, offload, offload_parameters,
                                               zero_init)[:2]
        cases.append(case)
here = pathlib.Path(__file__).parent / "plan"
here.mkdir(exist_ok=True)
lines = ",\n".join(json.dumps(case) for case in cases)
(here / "deepspeed_estimates.json").write_text(
    f'{{"deepspeed": "{deepspeed.__version__}", "order": ["cpu", "gpu"], "cases": [\n{lines}\n]}}\n')
