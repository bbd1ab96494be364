# SPDX-License-Identifier: Apache-2.0
"""Makes tests/golden/t5: small T5 models, and what transformers and PyTorch compute with them.

Run with Python packages torch, transformers and safetensors: `python tests/golden/t5.py`.
Each case is a model directory as transformers' from_pretrained reads it, and beside it
golden.safetensors, all fp32 (ids too):
  source_ids, source_mask, labels     a batch, and a second one named second.*
  logits, loss, gradient.NAME         of the first batch
  losses, norms, after.NAME           ten AdamW steps, batches in turn, clipped at norm 1
  prompt_ids, prompt_mask, tokens     greedy generation; -1 after the end
and half.safetensors, what transformers computes in fp16:
  source_ids, source_mask, labels     a batch; no input of a relu is so near 0 that rounding moves it
                                      to the other side
  logits, loss                        of it
  gradient.NAME                       of 1024 times the loss; of two cases, one a generation of T5
One more model, overflow, is there in fp16 only: its activations leave fp16's range.
`python tests/golden/t5.py half` makes what is in fp16 only.
"""
import json
import pathlib
import shutil
import sys

import torch
from safetensors.torch import load_file, save_file
from transformers import T5Config, T5ForConditionalGeneration, logging

root = pathlib.Path(__file__).parent / "t5"
new_tokens = 12

# What differs from these is what a case is about.
common = dict(
    architectures=["T5ForConditionalGeneration"], model_type="t5", is_encoder_decoder=True,
    d_model=16, d_kv=4, d_ff=24, num_layers=2, num_heads=3, vocab_size=40, dropout_rate=0.1,
    layer_norm_epsilon=1e-6, initializer_factor=1.0, pad_token_id=0, eos_token_id=1,
    decoder_start_token_id=0, relative_attention_num_buckets=8, relative_attention_max_distance=16,
    feed_forward_proj="relu")
cases = {
    # inner dimension 12 beside 16; tied and scaled
    "relu_tied": dict(),
    # the keys of a config.json of 2020 only, everything else by default; weights that do not stand
    # back to back in zeropp (15 * 16 is no multiple of 32)
    "old_config": dict(relative_attention_num_buckets=32, relative_attention_max_distance=None,
                       feed_forward_proj=None, num_layers=1, d_kv=5),
    # T5 1.1: its own head, not scaled, encoder deeper than decoder, weights stored in bf16
    "gated_untied": dict(feed_forward_proj="gated-gelu", tie_word_embeddings=False, num_layers=3,
                         num_decoder_layers=2, relative_attention_num_buckets=16,
                         relative_attention_max_distance=20),
    # decoder deeper than encoder; a vocabulary padded beyond the ids in use; tied but not scaled;
    # two files and an index
    "deep_decoder": dict(num_layers=1, num_decoder_layers=3, vocab_size=48, d_kv=8, num_heads=4,
                         tie_word_embeddings=False),
    # the key of transformers 5.17 on; a head of its own that is scaled; weights stored in fp16
    "scaled_untied": dict(feed_forward_proj="gated-gelu", tie_word_embeddings=False,
                          scale_decoder_outputs=True, num_layers=1, num_heads=4),
}
untied = {"gated_untied", "scaled_untied", "overflow"}
stored = {"gated_untied": torch.bfloat16, "scaled_untied": torch.float16}
ids_in_use = 40


def batch(generator, lengths, targets, vocabulary):
    """Random ids that end in </s>; sources padded with 0, labels with -100."""
    source = torch.zeros(len(lengths), max(lengths), dtype=torch.long)
    mask = torch.zeros_like(source)
    labels = torch.full((len(targets), max(targets)), -100)
    for row, (n, m) in enumerate(zip(lengths, targets)):
        source[row, :n] = torch.randint(3, vocabulary, (n,), generator=generator)
        source[row, n - 1] = 1
        mask[row, :n] = 1
        labels[row, :m] = torch.randint(3, vocabulary, (m,), generator=generator)
        labels[row, m - 1] = 1
    return source, mask, labels


def make(directory, config, name, seed):
    """A model directory; weights of Hugging Face's distribution, norms not 1."""
    torch.manual_seed(seed)
    shutil.rmtree(directory, ignore_errors=True)
    model = T5ForConditionalGeneration(T5Config(**{k: v for k, v in config.items() if v is not None}))
    weights = {k: v.clone() for k, v in model.state_dict().items()
               if k != "lm_head.weight" and "embed_tokens" not in k}
    for key, value in weights.items():
        if "layer_norm" in key:
            value += 0.2 * torch.randn_like(value)
    if name in untied:
        weights["lm_head.weight"] = torch.randn_like(weights["shared.weight"])
    weights = {k: v.to(stored.get(name, torch.float32)) for k, v in sorted(weights.items())}
    directory.mkdir(parents=True)
    written = {k: v for k, v in config.items() if v is not None}
    (directory / "config.json").write_text(json.dumps(written, indent=2, sort_keys=True) + "\n")
    if name == "deep_decoder":
        files = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
        place = {k: files[i % 2] for i, k in enumerate(weights)}
        for file in files:
            save_file({k: v for k, v in weights.items() if place[k] == file}, directory / file,
                      metadata={"format": "pt"})
        total = sum(v.numel() * v.element_size() for v in weights.values())
        index = {"metadata": {"total_size": total}, "weight_map": place}
        (directory / "model.safetensors.index.json").write_text(json.dumps(index, indent=2) + "\n")
    else:
        save_file(weights, directory / "model.safetensors", metadata={"format": "pt"})


def load(directory, dtype=torch.float32):
    model = T5ForConditionalGeneration.from_pretrained(
        directory, dtype=dtype, attn_implementation="eager")
    return model.eval()  # no dropout


def names_of(model):
    """The parameters, each once."""
    return {name: parameter for name, parameter in model.named_parameters()}


def generate(model, source, mask):
    """Greedy tokens up to </s>, and the smallest lead of a chosen token over the next best."""
    out = model.generate(input_ids=source, attention_mask=mask, max_new_tokens=new_tokens,
                         do_sample=False, use_cache=False, output_scores=True,
                         return_dict_in_generate=True)
    tokens = torch.full((len(source), new_tokens), -1)
    lead = float("inf")
    for row, sequence in enumerate(out.sequences[:, 1:].tolist()):
        end = sequence.index(1) + 1 if 1 in sequence else len(sequence)
        tokens[row, :end] = torch.tensor(sequence[:end])
        for at in range(end):
            best = out.scores[at][row].topk(2).values
            lead = min(lead, (best[0] - best[1]).item())
    return tokens, lead


def run(name, changes):
    directory, config = root / name, {**common, **changes}
    generator = torch.Generator().manual_seed(7)
    first = batch(generator, [30, 9, 21], [11, 7, 3], ids_in_use)
    second = batch(generator, [5, 150 if name == "old_config" else 40], [9, 2], ids_in_use)
    first[2][0, 4] = first[2][2, 0] = -100  # labels left out in the middle, and at the start
    prompts = batch(generator, [12, 4, 20, 7, 15, 3, 9, 28], [2] * 8, ids_in_use)
    # A seed whose greedy texts are clear of ties, some ending in </s> and some not.
    for seed in range(1, 2000):
        make(directory, config, name, seed)
        tokens, lead = generate(load(directory), *prompts[:2])
        ended = (tokens == 1).any(1)
        lengths = {int((row >= 0).sum()) for row in tokens[ended]}
        if lead > 2e-3 and len(lengths) >= 2 and not ended.all():
            break
    else:
        raise SystemExit(f"{name}: no seed")
    model = load(directory)
    out = dict(zip(("source_ids", "source_mask", "labels"), first))
    out.update(zip(("second.source_ids", "second.source_mask", "second.labels"), second))
    out.update(prompt_ids=prompts[0], prompt_mask=prompts[1], tokens=tokens)
    result = model(input_ids=first[0], attention_mask=first[1], labels=first[2])
    result.loss.backward()
    out.update(logits=result.logits, loss=result.loss.reshape(1))
    for key, parameter in names_of(model).items():
        out["gradient." + key] = parameter.grad.clone()
    model.zero_grad()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, betas=(0.9, 0.999), eps=1e-8,
                                  weight_decay=0.1)
    losses, norms = [], []
    for step in range(10):
        source, mask, labels = (first, second)[step % 2]
        loss = model(input_ids=source, attention_mask=mask, labels=labels).loss
        loss.backward()
        norms.append(torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0).item())
        losses.append(loss.item())
        optimizer.step()
        optimizer.zero_grad()
    out.update(losses=torch.tensor(losses), norms=torch.tensor(norms))
    for key, parameter in names_of(model).items():
        out["after." + key] = parameter.detach()
    save_file({k: v.detach().to(torch.float32).contiguous() for k, v in out.items()},
              directory / "golden.safetensors", metadata={"format": "pt"})
    size = sum(f.stat().st_size for f in directory.iterdir())
    print(f"{name}: seed {seed}, loss {losses[0]:.4f} -> {losses[-1]:.4f}, norms {norms[0]:.3f} .. "
          f"{norms[-1]:.3f}, lead {lead:.4f}, {size} bytes, parameters "
          f"{'untied' if 'lm_head.weight' in names_of(model) else 'tied'}")


def batch_clear_of_kinks(model):
    """Errors of fp16 at the inputs of relu_tied's relus are up to 7e-4; those of what is clamped
    are of 2^-11. (Where something is, transformers clamps from 64504 on.)"""
    nearest, streams = [], []
    hooks = [block.layer[-1].DenseReluDense.wi.register_forward_hook(
        lambda module, inputs, output: nearest.append(output.abs().min().item()))
        for stack in (model.encoder, model.decoder) for block in stack.block
        if hasattr(block.layer[-1].DenseReluDense, "wi")]
    hooks += [layer.register_forward_hook(
        lambda module, inputs, output: streams.append(output[0].abs().flatten()))
        for stack in (model.encoder, model.decoder) for layer in stack.block[0].layer[:-1]]
    for seed in range(1, 2000):
        generator = torch.Generator().manual_seed(seed)
        source, mask, labels = batch(generator, [9, 6], [5, 3], ids_in_use)
        labels[0, 2] = -100
        nearest.clear()
        streams.clear()
        with torch.no_grad():
            model(input_ids=source, attention_mask=mask, labels=labels)
        if min(nearest, default=1) > 3e-3 and all(
                x < 64000 or x > 66000 for x in torch.cat(streams).tolist()):
            for hook in hooks:
                hook.remove()
            return source, mask, labels
    raise SystemExit("no batch")


def run_half(name, with_gradients):
    """As from_pretrained(dtype=float16) computes: `wo` and what is added to it in fp32."""
    directory = root / name
    exact_model, model = load(directory), load(directory, torch.float16)
    source, mask, labels = batch_clear_of_kinks(exact_model)
    assert model.encoder.block[0].layer[1].DenseReluDense.wo.weight.dtype == torch.float32
    peaks, clamped = [], []
    for stack in (model.encoder, model.decoder):
        for block in stack.block:
            block.layer[-1].DenseReluDense.wo.register_forward_hook(
                lambda module, inputs, output: peaks.append(output.abs().max().item()))
        for layer in stack.block[0].layer[:-1]:
            layer.register_forward_hook(
                lambda module, inputs, output: clamped.append(output[0].isinf().sum().item()))
    result = model(input_ids=source, attention_mask=mask, labels=labels)
    assert torch.isfinite(result.logits).all()
    out = dict(logits=result.logits, loss=result.loss.reshape(1))
    exact = exact_model(input_ids=source, attention_mask=mask, labels=labels)
    slopes = 0
    if with_gradients:
        (result.loss.float() * 1024).backward()
        exact.loss.backward()
        for key, parameter in names_of(model).items():
            assert torch.isfinite(parameter.grad).all()
            out["gradient." + key] = parameter.grad
            wanted = names_of(exact_model)[key].grad
            slopes = max(slopes, ((parameter.grad.float() / 1024 - wanted).norm() /
                                  wanted.norm()).item())
    out = {k: v.detach().to(torch.float16) for k, v in out.items()}
    out.update(source_ids=source.float(), source_mask=mask.float(), labels=labels.float())
    save_file({k: v.contiguous() for k, v in out.items()}, directory / "half.safetensors",
              metadata={"format": "pt"})
    distance = (result.logits - exact.logits).norm() / exact.logits.norm()
    print(f"{name}: loss {result.loss.item():.4f}, in fp32 {exact.loss.item():.4f}; distance from "
          f"fp32: logits {distance:.2e}, gradients at most {slopes:.2e}; wo's largest "
          f"{max(peaks):.3g}, clamped {sum(clamped)}")


def make_overflow():
    """T5 1.1 whose block 0 of the encoder is clamped after its attention, and whose `wo` leaves
    fp16's range in a block of each stack."""
    directory = root / "overflow"
    config = {**common, "feed_forward_proj": "gated-gelu", "tie_word_embeddings": False}
    make(directory, config, "overflow", 5)
    weights = load_file(directory / "model.safetensors")
    weights["encoder.block.0.layer.0.SelfAttention.o.weight"] *= 6e4
    for key in ("encoder.block.1.layer.1", "decoder.block.0.layer.2"):
        for part, factor in (("wi_0", 8), ("wi_1", 40), ("wo", 2e3)):
            weights[f"{key}.DenseReluDense.{part}.weight"] *= factor
    weights = {k: v.to(torch.float16) for k, v in weights.items()}
    assert all(torch.isfinite(v).all() for v in weights.values())
    save_file(weights, directory / "model.safetensors", metadata={"format": "pt"})


if __name__ == "__main__":
    torch.set_num_threads(1)
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    if sys.argv[1:] != ["half"]:
        for name, changes in cases.items():
            run(name, changes)
    make_overflow()
    for name in [*cases, "overflow"]:
        run_half(name, name in ("relu_tied", "gated_untied", "overflow"))
