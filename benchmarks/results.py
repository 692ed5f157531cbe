"""Tables of README and docs/results.md out of comparisons: `python -m benchmarks.results`.

Every number of our own is taken from results.json, and those of the README go through docs/claims.json. What others
have published on RefCOCOg stands in a table of its own, read from published_refcocog.csv, where each figure has its
source.
"""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

from benchmarks.claims import CLAIMS, Claim, claims_under, record
from benchmarks.measuring import run
from benchmarks.pages import between
from grounding.runtime.errors import InputError
from grounding.runtime.files import write_text_atomic
from grounding.visualization.table_formats import render
from grounding.visualization.tables import all_tables, difference_table, main_table, sets_table

SHORT = {"Acc@0.5": "acc@0.5", "mIoU": "miou", "Pointing": "pointing", "R@5": "recall@5", "Text cos": "text_cosine"}
BEGIN, END = "<!-- Written by python -m benchmarks.results -->", "<!-- End of what it writes -->"
PUBLISHED = Path(__file__).with_name("published_refcocog.csv")
LADDER = "ladder/"  # claims about the methods on the whole test split
COMMAND = "python evaluate.py compare --config configs/refshapes.yaml"
SETS_COMMAND = (
    "python evaluate.py sets runs/refshapes zero-shot yolo-clip --data data/refshapes --output runs/refshapes/sets"
)
RULES = "zero-shot-rules"
RULES_COMMAND = (
    "python evaluate.py compare zero-shot --data data/refshapes --model.spatial_rules true --model.extraction.method "
    'grabcut --model.output_stride 16 --model.inference_sizes "[320, 416]" --model.inference_flip true --bounds "[]" '
    f"--output runs/{RULES}"
)
NAMES = {
    "refshapes": "ours, trained with boxes: the decoder that comes with the package",
    "refshapes-weak": "ours, trained without boxes",
    "refshapes-weak+yolo": "ours, trained without boxes, on YOLO's proposals",
    "refshapes-pseudo": "ours, trained without boxes: a decoder from pseudo-boxes on these",
    "zero-shot+yolo": "the untrained map on YOLO's proposals",
    RULES: "the untrained map, with our rules for places and GrabCut",
    "reclip": "ReCLIP-style rules on YOLO + CLIP",
    "yolo-clip": "YOLO + CLIP",
    "zero-shot": "the untrained map (zero-shot)",
    "gradcam": "Grad-CAM",
    "yolo-oracle": "the best of YOLO's proposals",
    "annotated-clip": "annotated boxes, chosen by CLIP",
    "random-proposal": "one of YOLO's proposals, at random",
}
DEMO = """
## The demo

What `make demo` prints, on a smaller test split. "demo" starts from the decoder above, which was trained on scenes of
another seed, and learns for a minute from its own.
"""
UNTRAINED = f"""
## The untrained map with rules and GrabCut

What our learner without boxes has beside its training: the same rules for places, GrabCut, input sizes and flips, on
CLIP's own map.

    {RULES_COMMAND}
"""
# What the decoder that comes with the package is held against, besides differences to other methods.
OURS = "refshapes"
SETS_PREFIX = "sets/"
SETS_GOALS = {"set_accuracy": (0.5, None), "n_acc": (0.7, None), "t_acc": (0.95, None), "presence_auroc": (0.9, None)}
CALIBRATION, MOST_ERROR = "calibration error/", 0.05
SETS = f"""
Phrases of `grefs(unc).json`, about several objects, one, or none; [evaluation.md](evaluation.md#sets-of-boxes) explains
the measures. The decoder has learned from such phrases of the train split; the other two methods know nothing of them,
and were calibrated on the val split's.

    {SETS_COMMAND}
"""
ELSEWHERE = """
## On RefCOCOg, by others

What a run on RefCOCOg with OpenAI's weights is to be held against. Acc@0.5 in per cent on the test split `umd` (9,602
expressions), as published; of the first row the boxes are published, and `evaluate.py score` was asked here.
"""


def main(
    results: Path = Path("runs/refshapes/test/results.json"),
    demo: Path = Path("runs/demo/results.json"),
    sets: Path = Path("runs/refshapes/sets/sets.json"),
    rules: Path = Path(f"runs/{RULES}/results.json"),
    output: Path = Path("docs/results.md"),
    readme: Path = Path("README.md"),
    claims: Path = CLAIMS,
) -> None:
    """Write the tables of the page, the short one of the README, each between its two marks, and the claims.

    Args:
        results: of `evaluate.py compare --config configs/refshapes.yaml`.
        demo: of `make demo`.
        sets: of `evaluate.py sets`.
        rules: of `RULES_COMMAND`.
        output: Markdown file with the marks.
        readme: likewise.
        claims: file that the README's numbers are read from.
    """
    for path in (results, demo, sets, rules):
        if not path.is_file():
            raise InputError(f"there is no {path}: run make demo, {COMMAND}, {SETS_COMMAND} and {RULES_COMMAND}")
    of_ladder, of_demo, of_sets, of_rules = (
        json.loads(path.read_text(encoding="utf-8")) for path in (results, demo, sets, rules)
    )
    table_of_rules = render(main_table(of_rules), "markdown")
    of_rules = {"methods": {RULES: of_rules["methods"]["zero-shot"]}, "bounds": {}}
    record(ladder_claims(of_ladder) | ladder_claims(of_rules, RULES_COMMAND) | sets_claims(of_sets)
           | calibration_claims(of_ladder), claims)  # fmt: skip
    of_readme = between(readme, BEGIN, END, ladder_table(claims_under(LADDER, claims)))
    tables = [render(table, "markdown") for table in all_tables(of_ladder)]
    few = [render(make(of_demo), "markdown") for make in (main_table, difference_table)]
    with PUBLISHED.open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    published = [f"| {' | '.join(row)} |" for row in rows]
    published.insert(1, "| --- " * len(rows[0]) + "|")
    parts = ["", *tables, UNTRAINED, table_of_rules, DEMO, *few, render(sets_table(of_sets), "markdown"), SETS,
             ELSEWHERE, *published]  # fmt: skip
    of_page = between(output, BEGIN, END, "\n".join(parts))
    write_text_atomic(output, of_page)
    write_text_atomic(readme, of_readme)


def ladder_claims(results: dict[str, Any], command: str = COMMAND) -> dict[str, Claim]:
    """The measures of `SHORT` of what has a name in `NAMES`, as "ladder/METHOD MEASURE"."""
    return {
        f"{LADDER}{name} {metric}": Claim(
            report["metrics"][metric], command, report["intervals"].get(metric), report["n"]
        )
        for name, report in {**results["methods"], **results["bounds"]}.items()
        for metric in SHORT.values()
        if name in NAMES and metric in report["metrics"]
    }


def sets_claims(results: dict[str, Any]) -> dict[str, Claim]:
    """Every method's measures of sets, as "sets/METHOD MEASURE"."""
    return {
        f"{SETS_PREFIX}{name} {measure}": Claim(
            value,
            SETS_COMMAND,
            report["intervals"].get(measure),
            report["n"],
            goal=SETS_GOALS.get(measure) if name == OURS else None,
        )
        for name, report in results["methods"].items()
        for measure, value in report["metrics"].items()
    }


def calibration_claims(results: dict[str, Any]) -> dict[str, Claim]:
    """The expected calibration error of each method's best boxes, as "calibration error/METHOD"."""
    return {
        f"{CALIBRATION}{name}": Claim(
            report["metrics"]["ece"], COMMAND, n=report["n"], goal=(None, MOST_ERROR) if name == OURS else None
        )
        for name, report in results["methods"].items()
        if "ece" in report["metrics"]
    }


def ladder_table(claims: dict[str, dict[str, Any]]) -> str:
    """The measures that most readers look for, best Acc@0.5 first, as Markdown.

    Args:
        claims: by "METHOD MEASURE".
    """
    methods = sorted({name.rpartition(" ")[0] for name in claims}, key=lambda m: -claims[f"{m} acc@0.5"]["value"])
    n = claims[f"{methods[0]} acc@0.5"]["n"]
    lines = [f"| test split of RefShapes, {n:,} expressions | {' | '.join(SHORT)} |", "| --- |" + " --- |" * len(SHORT)]
    for method in methods:
        cells = []
        for metric in SHORT.values():
            claim = claims.get(f"{method} {metric}")
            cells.append("-" if claim is None else f"{claim['value']:.3f}")
        low, high = claims[f"{method} acc@0.5"]["interval"]
        cells[0] += f" [{low:.3f}, {high:.3f}]"
        lines.append(f"| {NAMES[method]} | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    run(main)
