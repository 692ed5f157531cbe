"""Whether sharing changes anything, and what it gains: `python -m benchmarks.sharing`, on two idle cores.

An evaluation and a file of requests, each by one process and by two that `torchrun` starts, with one thread in each:
the goal is that no line of answers and no measure differs. How much quicker two are has no goal: it depends on what the
cores share, and one process alone reads files and makes boxes beside the model, on more than one core. The time of a
command that finds everything done is subtracted.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from functools import partial
from itertools import chain, zip_longest
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from jsonargparse import auto_cli

from benchmarks.measuring import ROUNDS, Finding, report, take_turns
from grounding.cli import exit_on_input_error
from grounding.data.refcocog import RefCOCOg
from grounding.data.refshapes.writer import write_refshapes

METHODS = ("refshapes", "zero-shot", "yolo-clip")
BLOCK = 16  # requests: as many as an evaluation has in a block


def main(images: int = 83, rounds: int = ROUNDS) -> None:
    """Compare one process with two.

    Args:
        images: of RefShapes, made for this; a number that no block divides shows most.
        rounds: of the timing.
    """
    with TemporaryDirectory() as folder:
        place = Path(folder)
        data = place / "data"
        write_refshapes(data, {"test": images})
        _write_requests(data, place / "requests.jsonl")
        for processes in (1, 2):
            _run(processes, ["evaluate.py", "compare", *METHODS, "--data", data, "--output", place / f"out{processes}"])
        sides = {
            f"{processes}, {'again' if again else 'all'}": partial(_bulk, place, processes, again=again)
            for processes in (1, 2) for again in (False, True)
        }  # fmt: skip
        seconds = take_turns(sides, rounds=rounds)
        one, two = (place / "out1", place / "out2")
        answers = sum(
            _differing(_answers(one / "predictions" / path.name), _answers(two / "predictions" / path.name))
            for path in sorted((one / "predictions").glob("*.jsonl"))
        )
        measures = _differing(*(_values(json.loads((each / "results.json").read_text())) for each in (one, two)))
        boxes = _differing(*((place / f"boxes{count}.jsonl").read_text().splitlines() for count in (1, 2)))
    alone, shared = (seconds[f"{count}, all"] - seconds[f"{count}, again"] for count in (1, 2))
    compared = f"of one process and of two, one thread each, {images} images"
    report(
        [
            Finding("sharing.evaluation", answers + measures, 0, False,
                    f"answers and values of results.json that differ, {compared}, {len(METHODS)} methods and all "
                    "bounds, seconds left out"),
            Finding("sharing.bulk", boxes, 0, False, f"lines of boxes that differ, {compared}"),
            Finding("sharing.efficiency", alone / shared / 2, None, True,
                    f"bulk: {alone:.1f} s by one process over twice {shared:.1f} s by two, starting left out; medians "
                    f"of {rounds} rounds by turns"),
        ],
        command="python -m benchmarks.sharing",
    )  # fmt: skip


def _write_requests(data: Path, path: Path) -> None:
    dataset = RefCOCOg(data, "test", group_by="image")
    asked = [dataset.expressions_of(index) for index in range(len(dataset))]
    lines = [{"image": str(each[0].image_path), "phrases": [one.phrase for one in each]} for each in asked]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def _bulk(place: Path, processes: int, *, again: bool) -> None:
    output = place / f"boxes{processes}.jsonl"
    if not again:
        output.unlink(missing_ok=True)
        shutil.rmtree(output.with_suffix(".parts"), ignore_errors=True)
    _run(processes, ["-m", "grounding.bulk", "--method", METHODS[0], "--requests", place / "requests.jsonl",
                     "--output", output, "--block", BLOCK])  # fmt: skip


def _run(processes: int, command: list[Any]) -> None:
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", processes] if processes > 1 else []
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, *map(str, launcher + command)], env=environment, check=True, capture_output=True)


def _answers(path: Path) -> list[Any]:
    return [{**json.loads(line), "seconds": None} for line in path.read_text().splitlines()]


def _values(results: Any, name: str = "") -> list[tuple[str, Any]]:
    """All values of nested results, with the way to each, without times."""
    if not isinstance(results, dict | list):
        return [(name, results)]
    parts = results.items() if isinstance(results, dict) else enumerate(results)
    return list(chain.from_iterable(_values(value, f"{name}/{key}") for key, value in parts if key != "seconds"))


def _differing(one: list[Any], other: list[Any]) -> int:
    return sum(left != right for left, right in zip_longest(one, other))


if __name__ == "__main__":
    with exit_on_input_error():
        auto_cli(main, args=sys.argv[1:], as_positional=False)
