"""The ablations in a page: tables of mean and standard deviation over seeds."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tabulate import tabulate

from benchmarks.pages import between
from grounding.evaluation.significance import paired_difference
from grounding.runtime.files import write_text_atomic

FULL = "+ contrast"  # whose heatmaps the extractions share
WITHOUT_BOXES = "adapters, without boxes"
SHOWN = {"acc@0.5": "Acc@0.5", "miou": "mIoU", "pointing": "pointing"}
BEGIN, END = "<!-- Written by python -m benchmarks.ablation -->", "<!-- End of benchmarks.ablation -->"

Result = Mapping[str, Any]


def write_report(output: Path, results: Sequence[tuple[str, Mapping[str, Result]]], *, facts: str) -> None:
    """Write the part between the page's two marks, and the numbers.

    Args:
        output: Markdown file; the numbers go to ablations.json beside it.
        results: (experiment, label -> measures) of every run; one experiment comes once for each seed.
        facts: a sentence about data and seeds.
    """
    rows: dict[str, list[Result]] = defaultdict(list)
    for name, labelled in results:
        for label, result in labelled.items():
            rows[name if label == "test" else f"{name}: {label}"].append(result)
    parts = {name: of_seeds for name, of_seeds in rows.items() if not name.startswith(("extraction", "zero-shot"))}
    boxes = {name: of_seeds for name, of_seeds in parts.items() if name != WITHOUT_BOXES}
    unboxed = {name: of_seeds for name, of_seeds in rows.items() if name.startswith(("zero-shot", WITHOUT_BOXES))}
    extractions = {name: of_seeds for name, of_seeds in rows.items() if name.startswith("extraction")}
    text = [
        f"\n{facts}.\n",
        "### What the decoder is trained on\n",
        _table(boxes),
        "\n### Without boxes\n",
        "Zero-shot rows have the threshold that is best on val.\n",
        _table(unboxed),
        "",
        *(_sentence(WITHOUT_BOXES, name, rows) for name in unboxed if name.startswith("zero-shot")),
        *(_sentence(after, before, rows) for before, after in zip(list(boxes), list(boxes)[1:], strict=False)),
        "\n### From heatmap to box\n",
        f"The heatmaps of {FULL!r}; parameters chosen on val by mIoU, the box-quality network fitted on train.\n",
        _table({name.removeprefix("extraction: "): of_seeds for name, of_seeds in extractions.items()}),
    ]
    write_text_atomic(output, between(output, BEGIN, END, "\n".join(text)))
    numbers = {name: [_means(result) for result in of_seeds] for name, of_seeds in rows.items()}
    write_text_atomic(
        output.with_name("ablations.json"), json.dumps({"facts": facts, "runs": numbers}, indent=1) + "\n"
    )


def _means(result: Result) -> dict[str, dict[str, float]]:
    """ "test" and "novel" -> measure -> mean."""
    novel = np.array(result["novel"])
    values = {name: np.array(result["values"][name]) for name in SHOWN}
    return {
        "test": {name: float(each.mean()) for name, each in values.items()},
        "novel": {name: float(each[novel].mean()) for name, each in values.items()},
    }


def _table(rows: Mapping[str, Sequence[Result]]) -> str:
    lines = []
    for name, of_seeds in rows.items():
        means = [_means(result) for result in of_seeds]
        cells = []
        for part in ("test", "novel"):
            for measure in SHOWN:
                numbers = [each[part][measure] for each in means]
                spread = f" ± {np.std(numbers, ddof=1):.3f}" if len(numbers) > 1 else ""
                cells.append(f"{np.mean(numbers):.3f}{spread}")
        lines.append([name, *cells])
    headings = ["", *SHOWN.values(), *(f"{name}, novel" for name in SHOWN.values())]
    return tabulate(lines, headings, tablefmt="github", disable_numparse=True)


def _sentence(name: str, other: str, rows: Mapping[str, Sequence[Result]]) -> str:
    """By how much one row is above another on the same expressions: the mean over their seeds, images drawn anew."""
    said = []
    for measure in ("acc@0.5", "pointing"):
        ours, theirs = (np.mean([each["values"][measure] for each in rows[row]], axis=0) for row in (name, other))
        result = paired_difference(ours, theirs, np.array(rows[name][0]["image_ids"]))
        low, high = result.interval
        said.append(f"{SHOWN[measure]} {result.difference:+.3f}, 95 % [{low:+.3f}, {high:+.3f}]")
    return f"- **{name}** minus **{other}**: {'; '.join(said)}."
