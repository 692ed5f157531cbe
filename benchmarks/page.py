"""How long the web page takes to answer: `python -m benchmarks.page --output docs/performance.md`, on an idle machine.

Medians in one run of one process, inside the handlers that the page calls: without the browser, and without Gradio's
queue. Writes a table between the two markers of a Markdown file. The goal: a new phrase about an encoded photograph of
12 megapixels takes at most 150 ms.
"""

from __future__ import annotations

import os
import platform
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from itertools import product
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import cv2
import gradio as gr
import torch
from tqdm import tqdm

from benchmarks.measuring import Finding, report, run
from benchmarks.pages import write_between
from grounding.data.images import read_image
from grounding.data.refshapes.vocabulary import COLOURS, SHAPES
from grounding.methods.config import ModelConfig
from grounding.methods.proposals import ProposalsConfig
from grounding.runtime.lru_cache import LRUCache
from grounding.webapp.answers import Answerer, extraction_of, load_methods
from grounding.webapp.events import Handlers
from grounding.webapp.page import Components
from grounding.webapp.uploads import examples_for, receive

BEGIN, END = "<!-- written by python -m benchmarks.page -->", "<!-- end -->"
SIDES = (None, 640, 4000)  # of the longer side; None for a scene as it is
PLACES = ("on the left", "on the right", "in the middle")
ENCODED = "the image encoded"
OTHERS = ("zero-shot", "yolo-clip")  # that are served beside it
MAX_PIXELS = 10**8
MOST = 150.0  # milliseconds
BUDGET = 2**31  # bytes: nothing that is measured is evicted


def main(method: str = "refshapes", repeats: int = 20, output: Path = Path("docs/performance.md")) -> None:
    """Measure what a user of the page waits for.

    Args:
        method: what the page is served with.
        repeats: how often each thing is measured.
        output: Markdown file with the two markers.
    """
    columns: dict[str, dict[str, float]] = {}
    with TemporaryDirectory() as folder:
        [scene, *_] = examples_for(Path(folder) / "examples", photographs=False, drawings=True)
        for side in tqdm(SIDES, desc="sizes"):
            pixels = read_image(scene.path)
            scale = (side or max(pixels.shape[:2])) / max(pixels.shape[:2])
            size = (round(pixels.shape[1] * scale), round(pixels.shape[0] * scale))
            path = Path(folder) / f"{size[0]}.jpg"
            cv2.imwrite(str(path), cv2.resize(pixels[..., ::-1], size, interpolation=cv2.INTER_CUBIC))
            columns[f"{size[0]} x {size[1]} pixels"] = measure(method, path, repeats)
    of_largest = columns[list(columns)[-1]]
    detail = f"milliseconds; the photograph is encoded in {of_largest[ENCODED]:.0f}; medians of {repeats}"
    report([Finding("page.new_phrase_12_megapixels", of_largest[f"a new phrase, {method}"], MOST, False, detail)],
           command="python -m benchmarks.page")  # fmt: skip
    text = table(columns, repeats)
    write_between(output, BEGIN, END, f"\n{text}")


def measure(method: str, path: Path, repeats: int) -> dict[str, float]:
    """Median milliseconds of each row on one photo."""
    answerer = Answerer(load_methods([method, *OTHERS], ModelConfig(), ProposalsConfig(), "cpu"), LRUCache(BUDGET))
    with gr.Blocks(analytics_enabled=False):
        ui = Components(list(answerer.methods.values()), [])
    handlers = Handlers(answerer, [], ui, max_pixels=MAX_PIXELS)
    photo = receive(path, max_pixels=MAX_PIXELS)
    ours = next(iter(answerer.methods))
    values: dict[Any, Any] = {part: getattr(part, "value", None) for part in ui.all}
    values |= {ui.photo: photo}
    phrases = iter([f"the {colour} {shape} {place}" for place, colour, shape in product(PLACES, COLOURS, SHAPES)])
    measured: dict[str, list[float]] = defaultdict(list)

    def timed(row: str, call: Callable[[], Any]) -> Any:
        start = perf_counter()
        result = call()
        measured[row].append(1000 * (perf_counter() - start))
        return result

    for index in range(repeats + 1):
        timed(ENCODED, partial(answerer.methods[ours].encode, photo.pixels))
        for asked in (ours, *OTHERS):
            own = extraction_of(answerer.methods[asked])
            question = {
                ui.method: asked,
                ui.phrases: next(phrases),
                ui.extraction: own.method if own else None,
            }
            answer = timed(f"a new phrase, {asked}", partial(handlers.ask, {**values, **question}))
        moved = {**values, ui.question: answer[ui.question], ui.extraction: "components"}
        handlers.redraw(moved)  # yolo-clip was asked last: now the heatmap of the run's own method is kept too
        share = 0.2 + 0.6 * index / repeats
        timed("the threshold moved", partial(handlers.redraw, {**moved, ui.relative: share}))
        timed("the opacity moved", partial(handlers.redraw, {**moved, ui.opacity: share}))
    # The first time, fonts are read and images are encoded.
    return {row: median(times[1:]) for row, times in measured.items()}


def table(columns: dict[str, dict[str, float]], repeats: int) -> str:
    """A Markdown table of milliseconds, a column per size of photo, and what encoding once saves."""
    rows = list(next(iter(columns.values())))
    lines = [f"| milliseconds | {' | '.join(columns)} |", f"| --- |{' ---: |' * len(columns)}"]
    lines += [f"| {row} | {' | '.join(f'{column[row]:.0f}' for column in columns.values())} |" for row in rows]
    new = rows[1]
    ratios = " | ".join(f"{column[new] / column[ENCODED]:.2f}" for column in columns.values())
    lines.append(f"| {new} / {ENCODED} | {ratios} |")
    threads = f"{torch.get_num_threads()} of {os.cpu_count()} cores, {platform.machine()}"
    return f"{chr(10).join(lines)}\n\nMedians of {repeats}; {threads}, PyTorch {torch.__version__}, no GPU.\n"


if __name__ == "__main__":
    run(main)
