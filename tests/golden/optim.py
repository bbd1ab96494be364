#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes tests/golden/optim/steps.json: parameters after some of 20 steps of optimizers.

From PyTorch's own classes; where it has none, from DeepSpeed's compiled ones for CPUs (Lion, and
Adam without bias correction).
Scratch environment: python3 -m venv v && v/bin/pip install torch deepspeed
"""
import json, pathlib, torch, deepspeed
from deepspeed.ops.adam import DeepSpeedCPUAdam
from deepspeed.ops.lion import DeepSpeedCPULion

here = pathlib.Path(__file__).parent / "optim"
shown = [1, 2, 3, 5, 10, 20]
AdamW, Adam, SGD, Adagrad = torch.optim.AdamW, torch.optim.Adam, torch.optim.SGD, torch.optim.Adagrad
near_1 = 1 - 2**-10  # DeepSpeed computes 1 - beta2 in fp32: a beta2 that loses nothing there
cases = {
    "adamw": (AdamW, dict(lr=3e-2, betas=(0.9, 0.95), eps=1e-8, weight_decay=0.1)),
    "adamw_defaults": (AdamW, dict()),
    "adamw_maximize": (AdamW, dict(lr=1e-2, weight_decay=0.05, maximize=True)),
    "adamw_uncorrected": (DeepSpeedCPUAdam, dict(lr=1e-3, betas=(0.9, near_1), eps=1e-8, weight_decay=0.1, adamw_mode=True, bias_correction=False)),
    "adam": (Adam, dict(lr=3e-2, betas=(0.9, 0.999), eps=1e-6, weight_decay=0.1)),
    "adam_maximize": (Adam, dict(lr=3e-2, betas=(0.8, 0.99), eps=1e-6, weight_decay=0.1, maximize=True)),
    "adam_uncorrected": (DeepSpeedCPUAdam, dict(lr=1e-3, betas=(0.9, near_1), eps=1e-8, weight_decay=0.1, adamw_mode=False, bias_correction=False)),
    "sgd": (SGD, dict(lr=0.1, weight_decay=0.01)),
    "sgd_maximize": (SGD, dict(lr=0.01, weight_decay=0.1, maximize=True)),
    "momentum_sgd": (SGD, dict(lr=0.1, momentum=0.9, weight_decay=0.01)),
    "momentum_sgd_dampened": (SGD, dict(lr=0.1, momentum=0.8, dampening=0.4)),
    "momentum_sgd_without": (SGD, dict(lr=0.1, momentum=0.0, dampening=0.4)),
    "momentum_sgd_nesterov": (SGD, dict(lr=0.05, momentum=0.9, nesterov=True, weight_decay=0.1)),
    "momentum_sgd_maximize": (SGD, dict(lr=0.01, momentum=0.9, dampening=0.1, weight_decay=0.1, maximize=True)),
    "lion": (DeepSpeedCPULion, dict(lr=1e-3, betas=(0.9, 0.999))),
    "lion_decayed": (DeepSpeedCPULion, dict(lr=1e-2, betas=(0.9, 0.99), weight_decay=0.1)),
    "adagrad": (Adagrad, dict(lr=1e-2)),
    "adagrad_decayed": (Adagrad, dict(lr=0.1, lr_decay=0.05, eps=1e-8, weight_decay=0.1)),
    "adagrad_maximize": (Adagrad, dict(lr=0.1, weight_decay=0.1, maximize=True)),
}


def short(tensor):
    return [float(f"{x:.9g}") for x in tensor.tolist()]


torch.manual_seed(1)
count, steps = 24, 20
start = torch.randn(count, dtype=torch.float32)
# Decades from 1e-7 to 1e3, some of them changing their sign seldom; the last element's is always 0
# after the first step, the one before it always.
gradients = torch.randn(steps, count) * 10 ** torch.linspace(-7, 3, count) + 0.3 * 10 ** torch.linspace(-7, 3, count)
gradients[:, -2] = 0
gradients[1:, -1] = 0
start, gradients = torch.tensor(short(start)), torch.tensor([short(g) for g in gradients])

after = {}
for name, (kind, arguments) in cases.items():
    count_here = count
    if "lion" in name:  # its sign of 0 is that of a copied sign bit
        count_here -= 2
    p = torch.nn.Parameter(start[:count_here].clone())
    optimizer = kind([p], **arguments)
    rows = []
    for step, g in enumerate(gradients, 1):
        p.grad = g[:count_here].clone()
        optimizer.step()
        if step in shown:
            rows.append(short(p.detach()))
    after[name] = rows
rows = ",\n".join(f'  "{name}": {json.dumps(values)}' for name, values in after.items())
here.mkdir(exist_ok=True)
(here / "steps.json").write_text(
    f'{{"made_by": "torch {torch.__version__}, DeepSpeed {deepspeed.__version__}", "shown": {shown},\n'
    f' "start": {json.dumps(short(start))},\n "gradients": {json.dumps([short(g) for g in gradients])},\n'
    f' "after": {{\n{rows}\n}}}}\n')
