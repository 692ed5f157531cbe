"""What bfloat16 and a compiled tower change in the answers: `python -m benchmarks.precision`.

The shipped decoder on 200 images of RefShapes' val split (made where it is not there), against plain float32. Goals:
Acc@0.5 moves by at most 0.002, which is three of some 1,500 expressions; and no heat in [0, 1] by more than 0.25, on
average over all pixels by at most 0.005. A CPU without instructions for bfloat16 computes the same, ten times slower.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from tqdm import tqdm

from benchmarks.measuring import Finding, report
from grounding.clip.precision import Precision
from grounding.data.refcocog import RefCOCOg
from grounding.data.refshapes.writer import write_refshapes
from grounding.evaluation.metrics import hits, ious_with
from grounding.methods.load import load

COMMAND = "python -m benchmarks.precision"
DATA, IMAGES = Path("data/refshapes"), 200
MOVED, LARGEST, MEAN = 0.002, 0.25, 0.005


def main() -> None:
    """Measure and report."""
    write_refshapes(DATA)
    dataset = RefCOCOg(DATA, "val", group_by="image", subset=IMAGES)
    ways: dict[str, tuple[Precision, bool]] = {"compiled": ("float32", True), "bfloat16": ("bfloat16", False)}
    report([each for name, way in ways.items() for each in compared(name, *way, dataset)], command=COMMAND)


def compared(name: str, precision: Precision, compiled: bool, dataset: RefCOCOg) -> list[Finding]:
    """The findings of one way to compute, image by image beside the exact one."""
    exact = load("refshapes", precision="float32")
    other = load("refshapes", precision=precision, compiled=compiled)
    right: dict[str, list[bool]] = {"exact": [], "other": []}
    largest, means = 0.0, []
    for index in tqdm(range(len(dataset)), desc=name, unit="image"):
        example = dataset[index]
        answers = zip(
            example.expressions,
            exact.ground(example.image, example.phrases),
            other.ground(example.image, example.phrases),
            strict=True,
        )
        for expression, first, second in answers:
            error = np.abs(first.heatmap - second.heatmap)
            largest = max(largest, float(error.max()))
            means.append(float(error.mean()))
            for side, answer in (("exact", first), ("other", second)):
                iou = ious_with(answer.boxes_xyxy[:1], np.array(expression.box_xyxy))
                right[side].append(bool(hits(iou, 0.5)[0]))
    first_right, second_right = np.array(right["exact"]), np.array(right["other"])
    detail = (
        f"Acc@0.5 {first_right.mean():.4f} and {second_right.mean():.4f}, {len(first_right)} expressions, of which "
        f"{int((first_right != second_right).sum())} are right one way only"
    )
    return [
        Finding(f"precision.{name}_acc_moved", abs(first_right.mean() - second_right.mean()), MOVED, False, detail),
        Finding(f"precision.{name}_largest_error", largest, LARGEST, False, "of any pixel's heat"),
        Finding(f"precision.{name}_mean_error", float(np.mean(means)), MEAN, False, "of all pixels' heat"),
    ]


if __name__ == "__main__":
    main()
