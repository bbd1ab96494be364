#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes tests/golden/io/batches.json: batch sizes and elastic batches, by DeepSpeed's own code.

Scratch environment: python3 -m venv v && v/bin/pip install numpy, and DeepSpeed's source unpacked
(pip download --no-deps --no-binary :all: deepspeed). v/bin/python tests/golden/batches.py SOURCE
Its modules are run alone, without PyTorch: elasticity/elasticity.py whole, and of runtime/config.py
the two functions that resolve batch sizes.
"""
import ast, contextlib, importlib, io, json, logging, pathlib, sys, types

here = pathlib.Path(__file__).parent / "io"
source = pathlib.Path(sys.argv[1])


def module(name, **members):
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].__dict__.update(members, __path__=[str(source / name.replace(".", "/"))])


version = (source / "version.txt").read_text().strip()
module("deepspeed")
module("deepspeed.elasticity")
module("deepspeed.git_version_info", version=version)
module("deepspeed.utils", logger=logging.getLogger("none"))
elasticity = importlib.import_module("deepspeed.elasticity.elasticity")


def outcome(call):
    try:
        return call()
    except Exception as error:
        return {"refused": type(error).__name__}


def elastic(ranks, **block):
    def call():
        with contextlib.redirect_stdout(io.StringIO()):
            train, valid, micro = elasticity.compute_elastic_config(
                {"elasticity": {"enabled": True, **block}}, version, world_size=ranks)
        return {"train": train, "micro": micro}
    return {"ranks": ranks, "elasticity": block, "gives": outcome(call)}


def chosen(micro, largest, least, most, larger=True):
    train, valid = elasticity._get_compatible_gpus_v01(micro, largest, least, most, larger)
    return {"micro": micro, "largest": largest, "least_ranks": least, "most_ranks": most,
            "prefer_larger": larger, "train": int(train), "ranks": [int(w) for w in valid]}


text = (source / "deepspeed/runtime/config.py").read_text()
functions = [f for f in ast.walk(ast.parse(text)) if isinstance(f, ast.FunctionDef)
             and f.name in ("_batch_assertion", "_set_batch_related_parameters")]
scope = {}
exec(compile(ast.Module(functions, []), "config.py", "exec"), scope)


def resolved(train, micro, steps, ranks):
    sizes = types.SimpleNamespace(train_batch_size=train, train_micro_batch_size_per_gpu=micro,
                                  gradient_accumulation_steps=steps, world_size=ranks)
    def call():
        scope["_set_batch_related_parameters"](sizes)
        scope["_batch_assertion"](sizes)
        return [sizes.train_batch_size, sizes.train_micro_batch_size_per_gpu,
                sizes.gradient_accumulation_steps]
    return {"given": [train, micro, steps], "ranks": ranks, "gives": outcome(call)}


small = dict(micro_batch_sizes=[2, 4, 6], max_train_batch_size=2000)
odd = dict(micro_batch_sizes=[3, 5], max_train_batch_size=100)
out = {
    "made_by": f"DeepSpeed {version}",
    "chosen": [
        chosen([2, 4, 6], 2000, 1, 10000), chosen([8, 12, 16, 17], 10000, 32, 1500), chosen([2], 8, 1, 8),
        chosen([2, 4, 6], 2000, 1, 10000, False), chosen([3, 5], 100, 1, 10), chosen([3, 5], 100, 1, 10, False),
        chosen([7, 11, 13], 1000, 1, 10000), chosen([7], 7, 1, 4), chosen([1], 1000000, 1, 64), chosen([5, 10, 3], 29, 2, 9),
    ],
    "elastic": [
        *(elastic(w, **small, version=0.1) for w in (1, 2, 7, 9, 12, 420, 841)),
        *(elastic(w, **small) for w in (1, 2, 3, 4, 7, 9, 11, 420, 500, 841)),
        *(elastic(w, **small, prefer_larger_batch=False) for w in (1, 3, 9, 11)),
        *(elastic(w, **small, version=0.1, prefer_larger_batch=False) for w in (1, 3, 9)),
        *(elastic(w, **small, num_gpus_per_node=8) for w in (8, 16, 24, 40, 72)),
        *(elastic(w, **odd, version=v) for v in (0.1, 0.2) for w in (1, 2, 3, 4, 7)),
        *(elastic(w, **odd, num_gpus_per_node=4, max_gpus=8) for w in (4, 8, 12)),
        *(elastic(w, **odd, num_gpus_per_node=4, max_gpus=3) for w in (4, 8)),
        *(elastic(w, **odd, min_gpus=4, max_gpus=10, version=0.1) for w in (2, 4, 10)),
        elastic(2, micro_batch_sizes=[4, 16], max_train_batch_size=8),
        elastic(2, micro_batch_sizes=[4], max_train_batch_size=8, min_gpus=3, max_gpus=2),
        elastic(2, micro_batch_sizes=[4], max_train_batch_size=8, version=0.3),
        elastic(2, micro_batch_sizes=[], max_train_batch_size=8),
        elastic(2, max_train_batch_size=8), elastic(2, micro_batch_sizes=[4]),
    ],
    "sizes": [resolved(*given) for given in (
        (32, None, None, 4), (None, 2, None, 4), (32, 2, None, 4), (32, None, 2, 4), (None, 2, 3, 4), (32, 4, 2, 4),
        (1, None, None, 1), (None, 1, None, 1), (6, 1, 2, 3), (12, 3, None, 2), (12, None, 3, 2), (128, 16, 8, 1),
        (33, None, None, 4), (32, 16, None, 4), (None, None, 4, 4), (None, None, None, 4), (32, 4, 4, 4), (2, None, None, 4), (32, None, 3, 4),
    )],
}
here.mkdir(exist_ok=True)
lists = ",\n".join(f'"{key}": [\n' + ",\n".join(" " + json.dumps(row) for row in out[key]) + "\n]"
                   for key in ("chosen", "elastic", "sizes"))
(here / "batches.json").write_text(f'{{"made_by": "{out["made_by"]}",\n{lists}\n}}\n')
