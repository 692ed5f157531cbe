"""The ablations in a page: tables of mean and standard deviation over seeds, and the curve over the share of boxes."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from tabulate import tabulate

from benchmarks.pages import between
from grounding.evaluation.significance import paired_difference
from grounding.runtime.files import write_text_atomic

FULL = "+ adapter, regions from boxes"  # whose heatmaps the extractions share, and which has all boxes
SHOWN = {"acc@0.5": "Acc@0.5", "miou": "mIoU", "pointing": "pointing"}
BEGIN, END = "<!-- Written by python -m benchmarks.ablation -->", "<!-- End of benchmarks.ablation -->"

FEW_BOXES = """\
Zero-shot rows have the threshold that is best on val. CLIP's map is the teacher of the weak rows at two input sizes, of
the rows with some boxes at one and with a smaller weight, which may be why 1 % is no better than none.
"""

Result = Mapping[str, Any]


def write_report(output: Path, results: Sequence[tuple[str, Mapping[str, Result]]], *, facts: str) -> None:
    """Write the part between the page's two marks, its figure and the numbers.

    Args:
        output: Markdown file; the figure goes to images/ beside it, the numbers to ablations.json beside it.
        results: (experiment, label -> measures) of every run; one experiment comes once for each seed.
        facts: a sentence about data and seeds.
    """
    rows: dict[str, list[Result]] = defaultdict(list)
    for name, labelled in results:
        for label, result in labelled.items():
            rows[name if label == "test" else f"{name}: {label}"].append(result)
    parts = {name: of_seeds for name, of_seeds in rows.items() if not name.startswith(("extraction", "zero-shot"))}
    boxes = {name: of_seeds for name, of_seeds in parts.items() if not name.startswith(("weak", "boxes of"))}
    few = {name: of_seeds for name, of_seeds in rows.items() if name.startswith(("weak", "boxes of", "zero-shot"))}
    extractions = {name: of_seeds for name, of_seeds in rows.items() if name.startswith("extraction")}
    figure = output.parent / "images" / "boxes_curve.png"
    figure.parent.mkdir(parents=True, exist_ok=True)
    curve = {
        0: rows["weak"],
        **{_share(name): of_seeds for name, of_seeds in few.items() if _share(name)},
        100: rows[FULL],
    }
    _draw(figure, curve)
    text = [
        f"\n{facts}.\n",
        "### What the decoder is trained on\n",
        _table(boxes),
        "\n### Few boxes or none\n",
        FEW_BOXES,
        _table({**few, FULL + " (all boxes)": rows[FULL]}),
        f"\n![Accuracy over the share of images with boxes](images/{figure.name})\n",
        _sentence("weak", "weak, no contrast", rows),
        *(_sentence("weak", name, rows) for name in few if name.startswith("zero-shot")),
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


def _share(name: str) -> int:
    found = re.fullmatch(r"boxes of (\d+) %", name)
    return int(found[1]) if found else 0


def _draw(path: Path, curve: Mapping[int, Sequence[Result]]) -> None:
    figure, axes = plt.subplots(figsize=(6, 3.6), layout="constrained")
    places = np.arange(len(curve))
    for measure, marker in (("acc@0.5", "o"), ("pointing", "s")):
        numbers = [[_means(result)["test"][measure] for result in of_seeds] for of_seeds in curve.values()]
        spread = [float(np.std(each, ddof=1)) if len(each) > 1 else 0.0 for each in numbers]
        axes.errorbar(
            places, [np.mean(each) for each in numbers], spread, marker=marker, capsize=3, label=SHOWN[measure]
        )
    axes.set(xticks=places, xticklabels=[f"{share} %" for share in curve], ylim=(0, 1),
             xlabel="training images whose boxes are used", ylabel="test split")  # fmt: skip
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=150)
    plt.close(figure)
