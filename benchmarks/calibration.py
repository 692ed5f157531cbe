"""Training-free methods on RefShapes beside RefCOCOg: `python -m benchmarks.calibration --output docs/data.md`.

A generated data set says something about a method only where it is about as hard as the real one, for methods that
learn from neither. The generators, never a method, are tuned until these rows lie in their ranges. Measured on val; the
ways that heatmap methods make boxes are chosen on training images. A good number here promises none there.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.claims import Claim, record
from benchmarks.measuring import run
from benchmarks.pages import write_between
from grounding.evaluation.compare import EvaluateConfig, compare

BEGIN, END = "<!-- Written by python -m benchmarks.calibration -->", "<!-- End of benchmarks.calibration -->"
COMMAND = "python -m benchmarks.calibration --output docs/data.md"
METHODS = ["yolo-clip", "reclip", "zero-shot"]
BOUNDS = ["random-proposal", "yolo-oracle", "annotated-clip"]


@dataclass(frozen=True)
class Row:
    """A measure that has to lie in a range.

    Attributes:
        claim: its name in docs/claims.json, after "calibration/".
        title: what is measured.
        method, metric: where results.json has it.
        wanted: the range.
        published: what is known of RefCOCOg (umd), with its source.
        over_first: whether it is the difference to the first method, on the same expressions.
    """

    claim: str
    title: str
    method: str
    metric: str
    wanted: tuple[float, float]
    published: str
    over_first: bool = False


ROWS = (
    Row("yolo-clip acc@0.5", "YOLO + CLIP, Acc@0.5", "yolo-clip", "acc@0.5", (0.48, 0.60),
        "0.544 (test, 9,602 published boxes, recomputed)"),
    Row("best proposal miou", "best proposal, mean IoU", "yolo-oracle", "miou", (0.80, 0.92),
        "0.825 (YOLOv5), 0.918 (YOLOv8), train"),
    Row("reclip over yolo-clip acc@0.5", "ReCLIP-style minus YOLO + CLIP, Acc@0.5", "reclip", "acc@0.5", (0.02, 0.10),
        "about +0.05", over_first=True),
    Row("zero-shot miou", "untrained dense map, threshold, mean IoU", "zero-shot", "miou", (0.12, 0.30),
        "0.18 to 0.22 (superpixel map)"),
    Row("annotated boxes acc@0.5", "annotated boxes + CLIP, Acc@0.5", "annotated-clip", "acc@0.5", (0.55, 0.75),
        "not published"),
    Row("random proposal acc@0.5", "random proposal, Acc@0.5", "random-proposal", "acc@0.5", (0.12, 0.30),
        "not published"),
)  # fmt: skip


def main(
    data: Path = Path("data/refshapes"), work: Path = Path("runs/calibration"), output: Path = Path("docs/data.md")
) -> None:
    """Measure the training-free methods on val and hold them against the ranges.

    Args:
        data: root folder of RefShapes.
        work: folder for predictions; a method that is measured there already is not asked again.
        output: Markdown file with the two marks, beside which docs/claims.json is written too.
    """
    config = EvaluateConfig(METHODS, data, work, split="val", extraction_split="train", bounds=BOUNDS, device="cpu")
    results = compare(config)
    claims = claims_of(results)
    images, split = results["images"], results["split"]
    text = f"{table(claims)}\n\n{images} images of {split}, {claims[ROWS[0].claim].n:,} expressions."
    write_between(output, BEGIN, END, f"\n{text}\n")
    record({f"calibration/{name}": claim for name, claim in claims.items()})


def claims_of(results: dict[str, Any]) -> dict[str, Claim]:
    """The rows' values, with intervals and ranges, out of what results.json holds."""
    measured = {**results["methods"], **results["bounds"]}
    claims = {}
    for row in ROWS:
        report = measured[row.method]
        if row.over_first:
            behind = report["behind"][row.metric]  # of the first, by how much it is the better one
            low, high = behind["interval"]
            value, interval = -behind["difference"], (-high, -low)
        else:
            value, interval = report["metrics"][row.metric], tuple(report["intervals"][row.metric])
        claims[row.claim] = Claim(value, COMMAND, interval, report["n"], row.wanted)
    return claims


def table(claims: dict[str, Claim]) -> str:
    """The rows as a Markdown table."""
    lines = ["| training-free, on val | wanted | here (95 % interval) | in range | RefCOCOg umd |",
             "| --- | --- | --- | --- | --- |"]  # fmt: skip
    for row in ROWS:
        claim = claims[row.claim]
        assert claim.interval is not None
        sign = "+" if row.over_first else ""
        shown = f"{claim.value:{sign}.3f} [{claim.interval[0]:{sign}.3f}, {claim.interval[1]:{sign}.3f}]"
        inside = "yes" if claim.met else "no"
        low, high = row.wanted
        lines.append(f"| {row.title} | {low:.2f} to {high:.2f} | {shown} | {inside} | {row.published} |")
    return "\n".join(lines)


if __name__ == "__main__":
    run(main)
