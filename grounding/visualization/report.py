"""The folder of a comparison: tables, plots and the page, from its results and predictions."""

from __future__ import annotations

import shlex
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from grounding.evaluation.compare import Comparison, compare
from grounding.evaluation.config import EvaluateConfig
from grounding.evaluation.score import ScoreConfig, score
from grounding.evaluation.summary import Summary
from grounding.visualization.html_pages import write_report_page
from grounding.visualization.plots import draw_plots, method_colours
from grounding.visualization.selection import rival_of, rows_of, select_examples
from grounding.visualization.tables import comparison_table, write_tables

PICTURES = 12  # in a gallery


def report_comparison(config: EvaluateConfig) -> str:
    """Compare as `evaluation.compare` does, add tables, plots and report.html, and return the table as text.

    Returns:
        The table; "" in all processes but the first.

    Raises:
        InputError: as `compare`.
    """

    def report(comparison: Comparison) -> None:
        command = shlex.join(["python", Path(sys.argv[0]).name, *sys.argv[1:]])
        write_report(config.output, comparison.results, comparison.summaries, command=command)

    comparison = compare(config, report=report)
    if comparison is None:
        return ""
    return f"{comparison_table(comparison.results, 'text')}\nwritten to {config.output}"


def report_score(config: ScoreConfig) -> str:
    """Measure as `evaluation.score` does, add tables where `output` is given, and return the table as text.

    Raises:
        InputError: as `score`.
    """
    results = score(config)
    if config.output is not None:
        write_tables(results, config.output)
    return comparison_table(results, "text")


def write_report(folder: Path, results: Mapping[str, Any], summaries: Mapping[str, Summary], *, command: str) -> None:
    """Write `tables/`, `plots/` and `report.html`; nothing of an earlier comparison stays in them.

    Args:
        folder: of the comparison.
        results: what results.json holds.
        summaries: method -> its measured answers, whose expressions name their images.
        command: that repeats the comparison.

    Raises:
        InputError: an image cannot be read.
    """
    for part in ("tables", "plots"):
        shutil.rmtree(folder / part, ignore_errors=True)
    write_tables(results, folder / "tables")
    plots = draw_plots(results, folder / "plots")
    first = next(iter(results["methods"]))
    rival = rival_of(first, list(results["methods"]))
    answers = {name: rows_of(summaries[name]) for name in (first, rival) if name}
    galleries = [
        select_examples({first: answers[first]}, "best", PICTURES),
        select_examples({first: answers[first]}, "worst", PICTURES),
        *([select_examples(answers, "disputed", PICTURES)] if rival else []),
    ]
    write_report_page(
        results, plots, galleries, folder / "report.html", colours=method_colours(results), command=command
    )
