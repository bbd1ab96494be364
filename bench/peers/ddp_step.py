#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The step of bench/step.cpp with Hugging Face transformers on PyTorch DDP: two processes, a core each, gloo.

Scratch environment: python3 -m venv v && v/bin/pip install torch transformers
Prints one JSON line: median step in ms, first step in s, peak resident set of each rank in MB.
"""
import json
import os
import resource
import statistics
import subprocess
import sys
import time

START = time.time()
RANKS, BATCH, SOURCE, TARGET, STEPS = 2, 8, 128, 32, 8


def rank_main(rank):
    os.sched_setaffinity(0, {rank % os.cpu_count()})
    import torch
    import torch.distributed as dist
    from transformers import T5Config, T5ForConditionalGeneration

    torch.set_num_threads(1)
    torch.manual_seed(0)
    dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{os.environ['PORT']}", rank=rank, world_size=RANKS)
    config = T5Config(vocab_size=32128, d_model=512, d_kv=64, d_ff=2048, num_layers=6, num_heads=8, dropout_rate=0.1,
                      decoder_start_token_id=0, use_cache=False)
    config._attn_implementation = "sdpa"
    model = T5ForConditionalGeneration(config).train()
    wrapped = torch.nn.parallel.DistributedDataParallel(model, gradient_as_bucket_view=True)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-4, betas=(0.9, 0.95), weight_decay=0.1, fused=True)
    random = torch.Generator().manual_seed(rank)
    source = torch.randint(3, 32128, (BATCH, SOURCE), generator=random)
    labels = torch.randint(3, 32128, (BATCH, TARGET), generator=random)
    mask = torch.ones_like(source)
    times = []
    for step in range(STEPS + 2):
        dist.barrier()
        begin = time.perf_counter()
        loss = wrapped(input_ids=source, attention_mask=mask, labels=labels).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if step == 0:
            first = time.time() - START
        if step >= 2:
            times.append(time.perf_counter() - begin)
    peaks = [None] * RANKS
    dist.all_gather_object(peaks, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3)
    if rank == 0:
        print(json.dumps({"peer": f"PyTorch {torch.__version__} DDP", "step_ms": round(1e3 * statistics.median(times), 1),
                          "first_step_s": round(first, 1), "peak_rss_MB": [round(p * 1.024) for p in peaks]}))
    dist.destroy_process_group()


if __name__ == "__main__":
    if len(sys.argv) > 1:
        rank_main(int(sys.argv[1]))
    else:
        environment = {**os.environ, "PORT": str(20000 + os.getpid() % 20000), "OMP_NUM_THREADS": "1"}
        ranks = [subprocess.Popen([sys.executable, __file__, str(r)], env=environment) for r in range(RANKS)]
        sys.exit(max(abs(r.wait()) for r in ranks))
