"""How time and memory grow: `python -m benchmarks.growth --output docs/images/growth.png`, on an idle machine.

With the phrases of one image and with the images of a stream; each point in a process of its own, whose peak memory is
what the system has seen of it. The goal: time in proportion (an exponent of at most 1.1), memory as for the fewest (at
most 1.2 times of it). So that ten thousand images take minutes, they go through the embedded CLIP at a small size.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from itertools import cycle, islice
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image
from tqdm import tqdm

from benchmarks.measuring import Finding, peak_memory, report, run
from grounding.methods.config import ModelConfig
from grounding.methods.dense import DenseGrounder
from grounding.methods.load import load
from grounding.methods.stream import Request
from grounding.visualization.plots import DPI, PALETTE, padded_figure, tidy

COUNTS = {"phrases": (1, 10, 100, 1000), "images": (100, 1000, 10_000)}
PHOTOGRAPH = (640, 480)  # of the phrases
SMALL = 96  # side of the images and of the model's input, where there are thousands of them
FILES = 20  # that the stream repeats
MOST_EXPONENT, MOST_MEMORY = 1.1, 1.2
POINT = "import benchmarks.growth as growth; growth.measure({kind!r}, {count})"


def main(rounds: int = 3, output: Path = Path("docs/images/growth.png")) -> None:
    """Measure all points and draw them.

    Args:
        rounds: how often each point is measured, by turns; medians count.
        output: PNG file to write.
    """
    measured: dict[tuple[str, int], list[tuple[float, float]]] = defaultdict(list)
    points = [(kind, count) for kind, counts in COUNTS.items() for count in counts]
    for kind, count in tqdm(points * rounds, desc="points"):
        command = [sys.executable, "-c", POINT.format(kind=kind, count=count)]
        done = subprocess.run(command, env={**os.environ, "OMP_NUM_THREADS": "1"}, check=True, capture_output=True)
        measured[kind, count].append(json.loads(done.stdout.splitlines()[-1]))
    medians = {
        kind: {count: (median(s for s, _ in measured[kind, count]), median(m for _, m in measured[kind, count]))
               for count in counts}
        for kind, counts in COUNTS.items()
    }  # fmt: skip
    report([finding for kind, curve in medians.items() for finding in _findings(kind, curve, rounds)],
           command="python -m benchmarks.growth")  # fmt: skip
    _draw(medians).savefig(output, dpi=DPI)


def measure(kind: str, count: int) -> None:
    """Print seconds and peak mebibytes of one point; in a process that does nothing else."""
    with TemporaryDirectory() as folder:
        method, model = ("refshapes", None) if kind == "phrases" else ("zero-shot", ModelConfig(model_size=SMALL))
        grounder = load(method, model=model)
        assert isinstance(grounder, DenseGrounder)
        list(grounder.ground_many(_requests(kind, 1, Path(folder))))  # what libraries put off until they are used
        began = perf_counter()
        for _ in grounder.ground_many(_requests(kind, count, Path(folder))):
            pass
        seconds = perf_counter() - began
    print(json.dumps([seconds, peak_memory() / 2**20]))


def _requests(kind: str, count: int, folder: Path) -> Iterator[Request]:
    draw = np.random.default_rng(0)
    width, height = PHOTOGRAPH if kind == "phrases" else (SMALL, SMALL)
    paths = [folder / f"{number}.jpg" for number in range(1 if kind == "phrases" else FILES)]
    for path in paths:
        coarse = draw.integers(0, 256, (height // 16, width // 16, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((width, height)).save(path)
    if kind == "phrases":
        yield Request("", paths[0], [f"the red box number {number}" for number in range(count)])
    else:
        yield from (Request("", path, ["the red box", "the circle"]) for path in islice(cycle(paths), count))


def _findings(kind: str, curve: dict[int, tuple[float, float]], rounds: int) -> list[Finding]:
    (_, (_, least)), *_, (before, (sooner, _)), (last, (seconds, most)) = curve.items()
    exponent = math.log(seconds / sooner) / math.log(last / before)
    how = f"one thread, medians of {rounds} processes each"
    return [
        Finding(f"growth.{kind}.time", exponent, MOST_EXPONENT, False,
                f"exponent: {sooner:.2f} s for {before:,} {kind}, {seconds:.2f} s for {last:,}; {how}"),
        Finding(f"growth.{kind}.memory", most / least, MOST_MEMORY, False,
                f"peak of {most:.0f} MiB for {last:,} {kind} over {least:.0f} MiB for {next(iter(curve)):,}; {how}"),
    ]  # fmt: skip


def _draw(medians: dict[str, dict[int, tuple[float, float]]]) -> Figure:
    figure = padded_figure(7.4, 5.6)
    for row, (kind, curve) in zip(figure.subplots(2, 2), medians.items(), strict=True):
        counts, (seconds, peaks) = list(curve), zip(*curve.values(), strict=True)
        _panel(row[0], counts, seconds, PALETTE[0], kind, "seconds")
        # In proportion, from the last point back.
        row[0].plot(counts, [seconds[-1] * count / counts[-1] for count in counts], color="#999999", linewidth=1.2,
                    linestyle="--", label="in proportion")  # fmt: skip
        row[0].set_yscale("log")
        row[0].legend(frameon=False)
        _panel(row[1], counts, peaks, PALETTE[1], kind, "peak memory in MiB")
        row[1].set_ylim(0, 1.15 * max(peaks))
    return figure


def _panel(axis: Axes, counts: list[int], values: tuple[float, ...], colour: str, kind: str, label: str) -> None:
    axis.plot(counts, values, color=colour, linewidth=2, marker="o")
    axis.set(xscale="log", xlabel="phrases of one image" if kind == "phrases" else "images in bulk", ylabel=label)
    axis.set_xticks(counts, [f"{count:,}" for count in counts])
    axis.minorticks_off()
    tidy(axis)


if __name__ == "__main__":
    run(main)
