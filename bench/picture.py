#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The picture of the README from logs of zeropp-t5 (standard library only).

    bench/picture.py OUT.svg LOSS.jsonl[,LOSS.jsonl...] STAGE0.jsonl STAGE1.jsonl STAGE2.jsonl STAGE3.jsonl

Left: the loss of the steps of the first logs, one after the other. Right: planned and peak memory of
rank 0 in a run of each stage with --comm mpi.
"""
import json
import pathlib
import sys

INK, QUIET, LINE, SECOND, THIRD = "#57606a", "#d0d7de", "#0969da", "#bf8700", "#1a7f37"


def events(path, kind):
    with open(path, encoding="utf-8") as lines:
        return [event for event in map(json.loads, lines) if event["event"] == kind]


def text(x, y, words, anchor="middle", size=12, color=INK):
    return f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}" font-size="{size}" fill="{color}">{words}</text>'


def loss_panel(paths, x0, y0, width, height):
    runs = {pathlib.Path(path).stem: [event["loss"] for event in events(path, "step")] for path in paths}
    total, top = sum(map(len, runs.values())), 9.0
    out = [text(x0 + width / 2, y0 - 14, "Loss by step", size=14)]
    for value in range(0, int(top) + 1, 3):
        y = y0 + height * (1 - value / top)
        out += [f'<line x1="{x0}" x2="{x0 + width}" y1="{y:.0f}" y2="{y:.0f}" stroke="{QUIET}"/>',
                text(x0 - 8, y + 4, value, "end")]
    first = 0
    for name, run in runs.items():
        every = max(1, total // 160)
        points = []
        for at in range(0, len(run) - every + 1, every):
            mean = sum(run[at:at + every]) / every
            points.append(f"{x0 + width * (first + at + every / 2) / total:.1f},{y0 + height * (1 - min(mean, top) / top):.1f}")
        color = (SECOND, THIRD, LINE)[list(runs).index(name) % 3]
        out.append(f'<polyline fill="none" stroke="{color}" stroke-width="2" points="{" ".join(points)}"/>')
        middle = x0 + width * (first + len(run) / 2) / total
        height_of_name = y0 + 8 + 14 * (list(runs).index(name) % 2)
        out.append(text(max(middle, x0 + 34), height_of_name, name, color=color))
        first += len(run)
    out += [text(x0, y0 + height + 18, "0"), text(x0 + width, y0 + height + 18, total)]
    return out


def memory_panel(paths, x0, y0, width, height):
    ends = [events(path, "end")[-1] for path in paths]
    planned = [end["planned_bytes"][0] / 1e6 for end in ends]
    peak = [end["peak_rss_bytes"][0] / 1e6 for end in ends]
    top = max(planned + peak) * 1.1
    out = [text(x0 + width / 2, y0 - 14, "MB of a rank by ZeRO stage (t5-small with 8,192 pieces, 2 ranks)", size=14),
           f'<line x1="{x0}" x2="{x0 + width}" y1="{y0 + height}" y2="{y0 + height}" stroke="{QUIET}"/>']
    slot = width / len(ends)
    for stage, values in enumerate(zip(planned, peak)):
        for i, (value, color) in enumerate(zip(values, (LINE, SECOND))):
            x, tall = x0 + slot * stage + slot * (0.12 + 0.4 * i), height * value / top
            out += [f'<rect x="{x:.1f}" y="{y0 + height - tall:.1f}" width="{slot * 0.36:.1f}" height="{tall:.1f}" fill="{color}"/>',
                    text(x + slot * 0.18, y0 + height - tall - 4, f"{value:.0f}", size=11)]
        out.append(text(x0 + slot * (stage + 0.5), y0 + height + 18, f"stage {stage}"))
    out += [text(x0 + width - 92, y0 + 8, "planned", "end", color=LINE), text(x0 + width, y0 + 8, "resident peak", "end", color=SECOND)]
    return out


def main():
    if len(sys.argv) != 7:
        sys.exit(__doc__)
    parts = loss_panel(sys.argv[2].split(","), 50, 44, 380, 180) + memory_panel(sys.argv[3:], 490, 44, 380, 180)
    with open(sys.argv[1], "w", encoding="utf-8") as out:
        out.write('<svg xmlns="http://www.w3.org/2000/svg" width="900" height="256" font-family="sans-serif">\n'
                  '<rect width="900" height="256" fill="white"/>\n'
                  + "\n".join(parts) + "\n</svg>\n")


if __name__ == "__main__":
    main()
