#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes tests/golden/optim/*.json: parameters after each of 6 steps of PyTorch's optimizers.

Scratch environment: python3 -m venv v && v/bin/pip install torch
"""
import json, pathlib, torch

here = pathlib.Path(__file__).parent / "optim"
cases = {
    "adamw": (torch.optim.AdamW, dict(lr=3e-2, betas=(0.9, 0.95), eps=1e-8, weight_decay=0.1)),
    "adam": (torch.optim.Adam, dict(lr=3e-2, betas=(0.9, 0.999), eps=1e-6, weight_decay=0.1)),
    "sgd": (torch.optim.SGD, dict(lr=0.1, weight_decay=0.01)),
    "momentum_sgd": (torch.optim.SGD, dict(lr=0.1, momentum=0.9, weight_decay=0.01)),
}
torch.manual_seed(1)
start = torch.randn(8, dtype=torch.float32)
gradients = torch.randn(6, 8, dtype=torch.float32) * torch.tensor([1e-6, 1e-3, 1e-2, 0.1, 1, 1, 10, 0])
out = {"torch": torch.__version__, "start": start.tolist(), "gradients": gradients.tolist(), "after": {}}
for name, (kind, arguments) in cases.items():
    p = torch.nn.Parameter(start.clone())
    optimizer = kind([p], **arguments)
    rows = []
    for g in gradients:
        p.grad = g.clone()
        optimizer.step()
        rows.append(p.detach().tolist())
    out["after"][name] = rows
here.mkdir(exist_ok=True)
(here / "steps.json").write_text(json.dumps(out, indent=1) + "\n")
