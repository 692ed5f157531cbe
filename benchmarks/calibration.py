"""Training-free methods on RefShapes and on RefCOCOg: `python -m benchmarks.calibration --output docs/data.md`.

A generated data set says something about a method only where it is about as hard as the real one, for methods that
learn from neither. The generators, never a method, are tuned until these rows lie in their ranges. Measured on val; the
ways that heatmap methods make boxes are chosen on training images. A good number here promises none there.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jsonargparse import auto_cli

from benchmarks.pages import between
from grounding.evaluation.compare import compare
from grounding.evaluation.config import EvaluateConfig
from grounding.runtime.cli import exit_on_input_error
from grounding.runtime.files import write_text_atomic

BEGIN, END = "<!-- Written by python -m benchmarks.calibration -->", "<!-- End of benchmarks.calibration -->"
METHODS = ["yolo-clip", "reclip", "zero-shot"]
BOUNDS = ["random-proposal", "yolo-oracle", "annotated-clip"]


@dataclass(frozen=True)
class Row:
    """A measure that has to lie in a range.

    Attributes:
        title: what is measured.
        method, metric: where results.json has it.
        wanted: the range.
        published: what is known of RefCOCOg (umd), with its source.
        minus: the method whose value is taken off; "" for none.
    """

    title: str
    method: str
    metric: str
    wanted: tuple[float, float]
    published: str
    minus: str = ""


ROWS = (
    Row(
        "YOLO + CLIP, Acc@0.5", "yolo-clip", "acc@0.5", (0.48, 0.60), "0.544 (test, 9,602 published boxes, recomputed)"
    ),
    Row("best proposal, mean IoU", "yolo-oracle", "miou", (0.80, 0.92), "0.825 (YOLOv5), 0.918 (YOLOv8), train"),
    Row("ReCLIP-style minus YOLO + CLIP, Acc@0.5", "reclip", "acc@0.5", (0.02, 0.10), "about +0.05", "yolo-clip"),
    Row("untrained dense map, threshold, mean IoU", "zero-shot", "miou", (0.12, 0.30), "0.18 to 0.22 (superpixel map)"),
    Row("annotated boxes + CLIP, Acc@0.5", "annotated-clip", "acc@0.5", (0.55, 0.75), "not published"),
    Row("random proposal, Acc@0.5", "random-proposal", "acc@0.5", (0.12, 0.30), "not published"),
)


def main(
    data: Path = Path("data/refshapes"), work: Path = Path("runs/calibration"), output: Path | None = None
) -> None:
    """Measure the training-free methods on val and hold them against the ranges.

    Args:
        data: root folder of RefShapes.
        work: folder for predictions; a method that is measured there already is not asked again.
        output: Markdown file with the two marks; the table is printed where it is not given.
    """
    config = EvaluateConfig(METHODS, data, work, split="val", extraction_split="train", bounds=BOUNDS, device="cpu")
    comparison = compare(config)
    assert comparison is not None  # one process
    text = table(comparison.results)
    if output is None:
        print(text)
    else:
        write_text_atomic(output, between(output, BEGIN, END, f"\n{text}\n"))


def table(results: dict[str, Any]) -> str:
    """The rows as a Markdown table, from what results.json holds."""
    measured = {**results["methods"], **results["bounds"]}
    lines = [
        "| training-free | wanted | here (95 % interval) | in range | RefCOCOg umd |",
        "| --- | --- | --- | --- | --- |",
    ]
    for row in ROWS:
        value = measured[row.method]["metrics"][row.metric]
        if row.minus:
            value -= measured[row.minus]["metrics"][row.metric]
            shown = f"{value:+.3f}"
        else:
            low, high = measured[row.method]["intervals"][row.metric]
            shown = f"{value:.3f} [{low:.3f}, {high:.3f}]"
        low, high = row.wanted
        inside = "yes" if low <= value <= high else "no"
        lines.append(f"| {row.title} | {low:.2f} to {high:.2f} | {shown} | {inside} | {row.published} |")
    n = measured[METHODS[0]]["n"]
    return "\n".join([*lines, "", f"{results['images']} images and {n} expressions of {results['split']}."])


if __name__ == "__main__":
    with exit_on_input_error():
        auto_cli(main, args=sys.argv[1:], as_positional=False, prog="python -m benchmarks.calibration")
