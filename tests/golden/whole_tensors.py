#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes tests/golden/optim/whole_tensors.json: tensors after some of 20 steps of optimizers that
look at whole tensors, computed in fp64.

Adafactor is transformers' own class. LAMB is a transcription of the formula of DeepSpeed's
FusedLamb, which runs on GPUs alone: moments without bias correction, direction
u = m / (sqrt(v) + eps) + weight_decay * p, or m / sqrt(v + eps) + ...; trust = |p| / |u| within
[min_coeff, max_coeff], 1 where either is 0; p -= trust * u * lr * sqrt(1 - beta2^t) / (1 - beta1^t).

Scratch environment: python3 -m venv v && v/bin/pip install torch transformers
"""
import json, math, pathlib, torch, transformers
from transformers.optimization import Adafactor

here = pathlib.Path(__file__).parent / "optim"
shown = [1, 2, 5, 20]
torch.set_default_dtype(torch.float64)


class Lamb(torch.optim.Optimizer):
    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0, eps_inside_sqrt=False,
                 bias_correction=True, max_coeff=10.0, min_coeff=0.01):
        super().__init__(params, dict(lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, inside=eps_inside_sqrt,
                                      corrected=bias_correction, most=max_coeff, least=min_coeff))

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            (b1, b2), eps = group["betas"], group["eps"]
            for p in group["params"]:
                state = self.state[p]
                t = state["t"] = state.get("t", 0) + 1
                m = state["m"] = b1 * state.get("m", torch.zeros_like(p)) + (1 - b1) * p.grad
                v = state["v"] = b2 * state.get("v", torch.zeros_like(p)) + (1 - b2) * p.grad**2
                u = m / ((v + eps).sqrt() if group["inside"] else v.sqrt() + eps) + group["weight_decay"] * p
                size, length = p.norm().item(), u.norm().item()
                trust = min(max(size / length, group["least"]), group["most"]) if size and length else 1.0
                rate = group["lr"] * (math.sqrt(1 - b2**t) / (1 - b1**t) if group["corrected"] else 1.0)
                p -= trust * rate * u


cases = {
    "lamb": (Lamb, dict(lr=1e-2)),
    "lamb_decayed": (Lamb, dict(lr=2e-2, betas=(0.8, 0.99), weight_decay=0.1)),
    "lamb_inside": (Lamb, dict(lr=1e-2, eps=1e-4, eps_inside_sqrt=True, bias_correction=False, weight_decay=0.01)),
    "lamb_narrow": (Lamb, dict(lr=1e-2, max_coeff=0.3, min_coeff=0.2)),
    "adafactor": (Adafactor, dict()),
    "adafactor_warm": (Adafactor, dict(warmup_init=True, clip_threshold=0.5)),
    "adafactor_t5": (Adafactor, dict(lr=1e-2, relative_step=False, scale_parameter=False)),
    "adafactor_decayed": (Adafactor, dict(lr=3e-2, relative_step=False, weight_decay=0.1, decay_rate=-0.6, eps=(1e-8, 1e-2))),
    "adafactor_momentum": (Adafactor, dict(lr=1e-2, relative_step=False, scale_parameter=False, beta1=0.9, weight_decay=0.01)),
}


def short(tensor):
    return [float(f"{x:.9g}") for x in tensor.flatten().tolist()]


torch.manual_seed(2)
steps, shapes = 20, {"vector": (12,), "matrix": (5, 7), "zero": (4,)}
start = {name: torch.randn(shape) * (0 if name == "zero" else 0.5) for name, shape in shapes.items()}
gradients = {}
for name, shape in shapes.items():
    size = torch.Size(shape).numel()
    g = (torch.randn(steps, size) + 0.3) * 10 ** torch.linspace(-5, 1, size)
    gradients[name] = g.reshape(steps, *shape)
gradients["matrix"][:, 3] = 0  # a token that never comes
start = {k: torch.tensor(short(v.float())).reshape(v.shape) for k, v in start.items()}
gradients = {k: torch.tensor(short(v.float())).reshape(v.shape) for k, v in gradients.items()}

after = {}
for name, (kind, arguments) in cases.items():
    tensors = {k: torch.nn.Parameter(v.clone()) for k, v in start.items()}
    optimizer = kind(list(tensors.values()), **arguments)
    rows = {k: [] for k in tensors}
    for step in range(steps):
        for k, p in tensors.items():
            p.grad = gradients[k][step].clone()
        optimizer.step()
        if step + 1 in shown:
            for k, p in tensors.items():
                rows[k].append(short(p.detach()))
    after[name] = rows
lines = ",\n".join(f'  "{name}": {json.dumps(values)}' for name, values in after.items())
given = ",\n".join(
    f'  "{k}": {json.dumps({"shape": list(v.shape), "start": short(v), "gradients": [short(g) for g in gradients[k]]})}'
    for k, v in start.items())
(here / "whole_tensors.json").write_text(
    f'{{"made_by": "transformers {transformers.__version__}, torch {torch.__version__}", "shown": {shown},\n'
    f' "tensors": {{\n{given}\n}},\n "after": {{\n{lines}\n}}}}\n')
