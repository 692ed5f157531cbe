"""Whether what is learned on RefShapes holds on scenes of another generator: `python -m benchmarks.carry_over`.

The scenes are those of `benchmarks.flat_scenes`, on which nothing was trained or chosen; a few minutes. Writes a table
of docs/results.md, and docs/claims.json.
"""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import numpy as np
from jsonargparse.typing import PositiveInt
from tabulate import tabulate
from tqdm import tqdm

from benchmarks.claims import CLAIMS, Claim, record
from benchmarks.flat_scenes import KINDS, FlatScene, flat_scenes
from benchmarks.measuring import run
from benchmarks.pages import write_between
from grounding.evaluation.metrics import ious_with, point_inside
from grounding.evaluation.significance import paired_differences
from grounding.geometry import hottest_point
from grounding.methods.load import load

BEGIN, END = "<!-- Written by python -m benchmarks.carry_over -->", "<!-- End of benchmarks.carry_over -->"
COMMAND, PREFIX = "python -m benchmarks.carry_over", "carry over/"
OURS, OTHERS = "refshapes", ("zero-shot", "yolo-clip", "reclip")
SEED = 99
MEASURES = {"acc@0.5": "Acc@0.5", "pointing": "pointing"}


def main(scenes: PositiveInt = 300, output: Path = Path("docs/results.md"), claims: Path = CLAIMS) -> None:
    """Measure the decoder that comes with the package beside the methods that need no training.

    Args:
        scenes: how many.
        output: Markdown file with the two marks.
        claims: file that the results go into.
    """
    asked = [scene for scene in islice(flat_scenes(SEED), scenes) if scene[1]]
    kinds = np.array([kind for _, phrases in asked for _, kind, _ in phrases])
    scene_of = np.repeat(np.arange(len(asked)), [len(phrases) for _, phrases in asked])
    values = {method: _measured(method, asked) for method in (OURS, *OTHERS)}
    rows = [
        [
            method,
            *(f"{each.mean():.3f}" for each in right),
            *(f"{right[0, kinds == kind].mean():.3f}" for kind in KINDS),
        ]
        for method, right in values.items()
    ]
    headings = ["method", *MEASURES.values(), *(f"{kind} (n = {(kinds == kind).sum()})" for kind in KINDS)]
    facts = f"{len(asked)} scenes, {len(kinds):,} phrases"
    write_between(output, BEGIN, END, f"{facts}.\n\n{tabulate(rows, headings, 'github', disable_numparse=True)}")
    found = {}
    for other in OTHERS:
        for name, difference in zip(MEASURES, paired_differences(values[OURS], values[other], scene_of), strict=True):
            found[f"{PREFIX}{OURS} minus {other} {name}"] = Claim(
                difference.difference, COMMAND, difference.interval, len(kinds), goal=(0.0, None), surely=True
            )
    record(found, claims)


def _measured(method: str, asked: list[FlatScene]) -> np.ndarray:
    """(2, P): of each phrase whether the best box has an IoU of 0.5, and whether the hottest point is in its box."""
    grounder, right = load(method), []
    for image, phrases in tqdm(asked, desc=method, unit="scene"):
        answers = grounder.ground(image, [phrase for phrase, _, _ in phrases])
        for answer, (_, _, box) in zip(answers, phrases, strict=True):
            overlap = float(ious_with(answer.boxes_xyxy[:1], box)[0])
            right.append((overlap >= 0.5, point_inside(hottest_point(answer.heatmap), box)))
    return np.array(right, dtype=float).T


if __name__ == "__main__":
    run(main)
