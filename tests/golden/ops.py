# SPDX-License-Identifier: Apache-2.0
"""Makes tests/golden/ops/ops.safetensors: operations of T5, their values and gradients, by PyTorch.

Run with Python packages torch and safetensors: `python tests/golden/ops.py`.
Computed in fp64 from inputs that fp32 holds, stored in fp32 (ids, masks and labels too). A case has
its inputs, its `out`, the slopes `dout` of a loss in it, and `d` and an input's name for each
gradient; the loss of cross_entropy is its `out`.
"""
import math
import pathlib

import torch
import torch.nn.functional as F
from safetensors.torch import save_file

generator = torch.Generator().manual_seed(11)
everything = {}


def normal(*shape):
    return torch.randn(*shape, generator=generator).double()


def case(name, function, others=(), **inputs):
    """`function` of the inputs; `others` are stored beside them and have no gradient."""
    inputs = {key: value.requires_grad_() for key, value in inputs.items()}
    out = function(**inputs)
    dout = normal(*out.shape) if out.dim() else torch.ones(())
    out.backward(dout.double())
    stored = {**inputs, **dict(others), "out": out.reshape(out.shape or 1)}
    if out.dim():
        stored["dout"] = dout
    stored.update({"d" + key: value.grad for key, value in inputs.items()})
    for key, value in stored.items():
        everything[f"{name}.{key}"] = value.detach().float().contiguous()


def rms_norm(x, weight):  # transformers' T5LayerNorm
    return weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6))


def bucket(distance, bidirectional, count, far):  # transformers' T5Attention
    first = 0
    if bidirectional:
        count //= 2
        first = (distance > 0).long() * count
        distance = distance.abs()
    else:
        distance = -torch.min(distance, torch.zeros_like(distance))
    exact = count // 2
    large = exact + (torch.log(distance.float() / exact) / math.log(far / exact) * (count - exact)).long()
    return first + torch.where(distance < exact, distance, large.clamp(max=count - 1))


def attention(q, k, v, heads, table=None, mask=None, causal=False):
    split = lambda x: x.view(x.shape[0], x.shape[1], heads, -1).transpose(1, 2)
    scores = split(q) @ split(k).transpose(2, 3)  # not scaled
    queries, keys = scores.shape[2:]
    distance = torch.arange(keys)[None] - torch.arange(queries)[:, None]
    if table is not None:
        scores = scores + table[bucket(distance, not causal, len(table), 6)].permute(2, 0, 1)
    if mask is not None:
        scores = scores.masked_fill(mask[:, None, None] == 0, -math.inf)
    if causal:
        scores = scores.masked_fill(distance > 0, -math.inf)
    return (scores.softmax(-1) @ split(v)).transpose(1, 2).reshape(q.shape)


def main():
    case("linear", F.linear, x=normal(2, 3, 5), weight=normal(7, 5))
    ids = torch.tensor([[3, 0, 3, 1], [5, 3, 0, 3]])
    case("embedding", lambda table: F.embedding(ids, table), {"ids": ids}, table=normal(6, 5))
    case("rms_norm", rms_norm, x=normal(2, 3, 19), weight=normal(19))
    mask = torch.tensor([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]])
    case("self_attention", lambda q, k, v, table: attention(q, k, v, 2, table, mask), {"mask": mask},
         q=normal(2, 5, 8), k=normal(2, 5, 8), v=normal(2, 5, 8), table=normal(8, 2))
    case("causal_attention", lambda q, k, v, table: attention(q, k, v, 2, table, causal=True),
         q=normal(2, 5, 8), k=normal(2, 5, 8), v=normal(2, 5, 8), table=normal(8, 2))
    mask = torch.tensor([[1, 1, 1, 0, 0, 1, 1], [1, 1, 1, 1, 0, 1, 1]])
    case("cross_attention", lambda q, k, v: attention(q, k, v, 3, mask=mask), {"mask": mask},
         q=normal(2, 3, 6), k=normal(2, 7, 6), v=normal(2, 7, 6))
    case("relu", F.relu, input=normal(2, 3, 5))
    case("gated_gelu", lambda gate, linear: F.gelu(gate, approximate="tanh") * linear,
         gate=2 * normal(2, 3, 5), linear=normal(2, 3, 5))
    case("residual_add", torch.add, input=normal(2, 3, 5), other=normal(2, 3, 5))
    case("scaled", lambda x: x * 0.3, x=normal(2, 3, 5))
    labels = torch.tensor([3, -100, 0, 16, -100, 3])
    case("cross_entropy",
         lambda x, weight: F.cross_entropy(F.linear(0.7 * x.view(6, 5), weight), labels),
         {"labels": labels}, x=normal(2, 3, 5), weight=normal(17, 5))
    path = pathlib.Path(__file__).parent / "ops" / "ops.safetensors"
    path.parent.mkdir(exist_ok=True)
    save_file(everything, path, metadata={"format": "pt"})
    print(f"{path}: {len(everything)} tensors, {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
