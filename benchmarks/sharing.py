"""Whether sharing an evaluation changes anything: `python -m benchmarks.sharing`.

By one process and by two that `torchrun` starts, with one thread in each: the goal is that no prediction and no measure
differs, seconds left out.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from itertools import chain, zip_longest
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from jsonargparse import auto_cli

from benchmarks.measuring import Finding, report
from grounding.data.refshapes.writer import write_refshapes
from grounding.runtime.cli import exit_on_input_error

METHODS = ("refshapes", "zero-shot", "yolo-clip")


def main(images: int = 83) -> None:
    """Compare one process with two.

    Args:
        images: of RefShapes, made for this; a number that no block divides shows most.
    """
    with TemporaryDirectory() as folder:
        data, one, two = (Path(folder) / name for name in ("data", "one", "two"))
        write_refshapes(data, {"test": images})
        for processes, output in ((1, one), (2, two)):
            _run(processes, ["evaluate.py", "compare", *METHODS, "--data", data, "--output", output])
        answers = sum(
            _differing(_answers(path), _answers(two / "predictions" / path.name))
            for path in sorted((one / "predictions").glob("*.jsonl"))
        )
        measures = _differing(*(_values(json.loads((each / "results.json").read_text())) for each in (one, two)))
    report(
        [
            Finding("sharing.evaluation", answers + measures, 0, False,
                    "answers and values of results.json that differ, of one process and of two, one thread each, "
                    f"{images} images, {len(METHODS)} methods and all bounds, seconds left out"),
        ],
        command="python -m benchmarks.sharing",
    )  # fmt: skip


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
