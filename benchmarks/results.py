"""Tables of docs/results.md out of comparisons: `python -m benchmarks.results --results runs/demo/results.json`.

Every number of our own is taken from results.json. What others have published on RefCOCOg stands in a table of its
own, read from published_refcocog.csv, where each figure has its source.
"""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path
from typing import Any

from jsonargparse import auto_cli

from benchmarks.pages import between
from grounding.errors import InputError
from grounding.runtime.cli import exit_on_input_error
from grounding.runtime.files import write_text_atomic
from grounding.visualization.table_formats import render
from grounding.visualization.tables import all_tables, difference_table, main_table, subsets_table

SHORT = {"Acc@0.5": "acc@0.5", "mIoU": "miou", "Pointing": "pointing", "R@5": "recall@5", "Text cos": "text_cosine"}
BEGIN, END = "<!-- Written by python -m benchmarks.results -->", "<!-- End of what it writes -->"
PUBLISHED = Path(__file__).with_name("published_refcocog.csv")
SHIPPED = """
## The decoder that comes with the package

`grounding.load("refshapes")`: configs/refshapes.yaml says how it was trained. Measured by

    python evaluate.py compare refshapes zero-shot --bounds '[box-mask]' --data data/refshapes \\
        --output runs/refshapes/test
"""
ELSEWHERE = """
## On RefCOCOg, by others

What a run on RefCOCOg with OpenAI's weights is to be held against. Acc@0.5 in per cent on the test split `umd` (9,602
expressions), as published; of the first row the boxes are published, and `evaluate.py score` was asked here.
"""


def main(
    results: Path = Path("runs/demo/results.json"),
    shipped: Path = Path("runs/refshapes/test/results.json"),
    output: Path = Path("docs/results.md"),
    readme: Path = Path("README.md"),
) -> None:
    """Write the tables of the page, and the short one of the README, each between its two marks.

    Args:
        results: of `evaluate.py compare`, by the demo.
        shipped: of the same, for the decoder that comes with the package.
        output: Markdown file with the marks.
        readme: likewise.
    """
    for path in (results, shipped):
        if not path.is_file():
            raise InputError(f"there is no {path}: run make demo, and evaluate.py compare refshapes")
    of_demo, of_shipped = (json.loads(path.read_text(encoding="utf-8")) for path in (results, shipped))
    of_readme = between(readme, BEGIN, END, short_table(of_demo, of_shipped))
    tables = [render(table, "markdown") for table in all_tables(of_demo)]
    few = [render(make(of_shipped), "markdown") for make in (main_table, difference_table, subsets_table)]
    with PUBLISHED.open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    published = [f"| {' | '.join(row)} |" for row in rows]
    published.insert(1, "| --- " * len(rows[0]) + "|")
    of_page = between(output, BEGIN, END, "\n".join(["", *tables, SHIPPED, *few, ELSEWHERE, *published]))
    write_text_atomic(output, of_page)
    write_text_atomic(readme, of_readme)


def short_table(demo: dict[str, Any], shipped: dict[str, Any]) -> str:
    """The measures that most readers look for, of the demo's methods and of the shipped decoder, as Markdown."""
    trained, comes_with_the_package = next(iter(demo["methods"])), next(iter(shipped["methods"].values()))
    rows = {"ours, the decoder that comes with the package": comes_with_the_package}
    rows |= {
        "ours, as `make demo` trains it" if name == trained else name: record
        for name, record in demo["methods"].items()
    }
    lines = [f"| test split of RefShapes, {demo['methods'][trained]['n']:,} expressions | {' | '.join(SHORT)} |",
             "| --- |" + " --- |" * len(SHORT)]  # fmt: skip
    for name, record in rows.items():
        low, high = record["intervals"]["acc@0.5"]
        cells = [f"{record['metrics'][metric]:.3f}" for metric in SHORT.values()]
        cells[0] += f" [{low:.3f}, {high:.3f}]"
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    with exit_on_input_error():
        auto_cli(main, args=sys.argv[1:], as_positional=False)
