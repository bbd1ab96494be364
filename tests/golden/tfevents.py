# SPDX-License-Identifier: Apache-2.0
"""Makes tests/golden/tfevents/scalars.tfevents: an event file, by TensorBoard's own writer.

Run with the Python package tensorboard: `python tests/golden/tfevents.py`.
With a path of an event file as argument, prints what TensorBoard reads from it instead.
"""
import pathlib
import sys

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter


def write(path):
    path.parent.mkdir(exist_ok=True)
    with open(path, "wb") as file:
        records = RecordWriter(file)
        records.write(Event(wall_time=1700000000.25, file_version="brain.Event:2").SerializeToString())
        for step, values in (
            (16, {"Train/Samples/train_loss": 2.5, "Train/Samples/lr": 1e-3}),
            (300, {"Train/Samples/train_loss": float("nan"), "Train/Samples/lr": 0.0}),
            (2**40, {"Validation/Samples/loss": -1e30}),
        ):
            summary = Summary(value=[Summary.Value(tag=k, simple_value=v) for k, v in values.items()])
            records.write(Event(wall_time=1700000000.5, step=step, summary=summary).SerializeToString())
    print(f"{path}: {path.stat().st_size} bytes")


def read(path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(path)
    events.Reload()
    for tag in events.Tags()["scalars"]:
        print(tag, [(event.step, event.value) for event in events.Scalars(tag)])


if __name__ == "__main__":
    if len(sys.argv) > 1:
        read(sys.argv[1])
    else:
        write(pathlib.Path(__file__).parent / "tfevents" / "scalars.tfevents")
