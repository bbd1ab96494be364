#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes tests/golden/optim/deepspeed_schedules.json and transformers_schedules.json: what
DeepSpeed's schedulers set, first before the first optimizer step, then after each; and the factors
of transformers' schedules at its current_step 0, 1, 2, ...

Scratch environment: python3 -m venv v && v/bin/pip install torch transformers deepspeed
"""
import json, logging, pathlib, torch, transformers, deepspeed
from deepspeed.runtime import lr_schedules
from transformers import optimization as hf

here = pathlib.Path(__file__).parent / "optim"
logging.disable(logging.WARNING)  # schedulers warn of being read before they have started

cases = {
    "WarmupLR_log": ("WarmupLR", 1e-3, 8, dict(warmup_min_lr=0.0, warmup_max_lr=0.01, warmup_num_steps=5)),
    "WarmupLR_linear": ("WarmupLR", 1e-3, 8, dict(warmup_min_lr=0.001, warmup_max_lr=0.01, warmup_num_steps=5, warmup_type="linear")),
    "WarmupLR_steps1": ("WarmupLR", 1e-3, 4, dict(warmup_max_lr=0.01, warmup_num_steps=1)),
    "WarmupLR_optimizers_lr": ("WarmupLR", 3e-3, 6, dict(warmup_num_steps=3, warmup_type="linear")),
    "WarmupDecayLR_linear": ("WarmupDecayLR", 1e-3, 12, dict(total_num_steps=10, warmup_max_lr=0.01, warmup_num_steps=4, warmup_type="linear")),
    "WarmupDecayLR_log": ("WarmupDecayLR", 1e-3, 16, dict(total_num_steps=14, warmup_min_lr=1e-4, warmup_max_lr=0.02, warmup_num_steps=6)),
    "WarmupDecayLR_no_decay": ("WarmupDecayLR", 1e-3, 8, dict(total_num_steps=3, warmup_max_lr=0.01, warmup_num_steps=5)),
    "WarmupCosineLR_linear": ("WarmupCosineLR", 1e-2, 12, dict(total_num_steps=10, warmup_num_steps=4, warmup_type="linear", cos_min_ratio=0.1)),
    "WarmupCosineLR_log": ("WarmupCosineLR", 1e-2, 20, dict(total_num_steps=18, warmup_num_steps=5, warmup_min_ratio=0.2)),
    "LRRangeTest": ("LRRangeTest", 1e-3, 6, dict(lr_range_test_min_lr=0.001, lr_range_test_step_size=2, lr_range_test_step_rate=1.0)),
    "LRRangeTest_stair": ("LRRangeTest", 1e-3, 6, dict(lr_range_test_min_lr=0.001, lr_range_test_step_size=2, lr_range_test_step_rate=1.0, lr_range_test_staircase=True)),
    "OneCycle": ("OneCycle", 1e-3, 14, dict(cycle_min_lr=0.001, cycle_max_lr=0.01, cycle_first_step_size=4, cycle_second_step_size=4, decay_step_size=2, decay_lr_rate=0.5)),
    "OneCycle_stairs": ("OneCycle", 1e-3, 20, dict(cycle_min_lr=0.001, cycle_max_lr=0.01, cycle_first_step_size=9, cycle_second_step_size=6, cycle_first_stair_count=3, cycle_second_stair_count=2, cycle_min_mom=0.85, cycle_max_mom=0.95)),
    "OneCycle_momentum_decay": ("OneCycle", 1e-3, 16, dict(cycle_min_lr=0.001, cycle_max_lr=0.01, cycle_first_step_size=5, cycle_first_stair_count=2, decay_step_size=3, decay_lr_rate=0.5, decay_mom_rate=0.01)),
    "OneCycle_rate_alone": ("OneCycle", 1e-3, 12, dict(cycle_min_lr=0.001, cycle_max_lr=0.01, cycle_first_step_size=7, cycle_second_step_size=3, cycle_momentum=False)),
}
out = {}
for name, (kind, lr, steps, params) in cases.items():
    optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))], lr=lr)
    schedule = getattr(lr_schedules, kind)(optimizer, **params)
    group = optimizer.param_groups[0]
    trace = []
    for _ in range(steps + 1):
        trace.append([float(f"{group['lr']:.9g}"), float(f"{group['betas'][0]:.9g}")])
        schedule.step()
    out[name] = {"kind": kind, "lr": lr, "params": params, "trace": trace}


def write(name, made_by, cases):
    rows = ",\n".join(f' "{key}": {json.dumps(value)}' for key, value in cases.items())
    (here / name).write_text(f'{{"made_by": "{made_by}", "cases": {{\n{rows}\n}}}}\n')


write("deepspeed_schedules.json", f"DeepSpeed {deepspeed.__version__}", out)

lr = 2e-3
factors = {}
for name, make, params in [
    ("cosine", hf.get_cosine_schedule_with_warmup, dict(num_warmup_steps=4, num_training_steps=16)),
    ("cosine_floor", hf.get_cosine_with_min_lr_schedule_with_warmup, dict(num_warmup_steps=3, num_training_steps=15, min_lr_rate=0.1)),
    ("inverse_sqrt", hf.get_inverse_sqrt_schedule, dict(num_warmup_steps=5)),
    ("polynomial", hf.get_polynomial_decay_schedule_with_warmup, dict(num_warmup_steps=4, num_training_steps=16, lr_end=1e-5, power=2.0)),
    ("polynomial_defaults", hf.get_polynomial_decay_schedule_with_warmup, dict(num_warmup_steps=0, num_training_steps=10)),
    ("polynomial_root", hf.get_polynomial_decay_schedule_with_warmup, dict(num_warmup_steps=2, num_training_steps=12, lr_end=5e-4, power=0.5)),
]:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=lr)
    schedule = make(optimizer, **params)
    total = params.get("num_training_steps", 20)
    trace = [float(f"{schedule.lr_lambdas[0](step) * lr:.9g}") for step in range(total + (4 if name.startswith("poly") else 1))]
    factors[name] = {"lr": lr, "params": params, "trace": trace}
write("transformers_schedules.json", f"transformers {transformers.__version__}", factors)
