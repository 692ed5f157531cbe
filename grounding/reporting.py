"""The folder of a comparison: tables, plots and the page, from its results and predictions."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from grounding.report.galleries import draw_galleries
from grounding.report.page import write_page
from grounding.report.plots import draw_plots, method_colours
from grounding.report.tables import write_tables
from grounding.summary import Summary

PICTURES = 12  # in a gallery
RIVAL = "yolo-clip"  # whom the disputed examples are with, where it takes part; else the second method


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
    methods = list(results["methods"])
    others = [name for name in methods[1:] if name == RIVAL] or methods[1:]
    rival = others[0] if others else None
    shown = [methods[0], *([rival] if rival else [])]
    galleries = draw_galleries(
        {name: _rows(summaries[name]) for name in shown}, method_colours(results), rival=rival, count=PICTURES
    )
    write_page(results, plots, galleries, folder / "report.html", command=command)


def _rows(summary: Summary) -> list[dict[str, Any]]:
    return [
        {
            "sent_id": prediction.sent_id,
            "image_id": prediction.image_id,
            "phrase": prediction.phrase,
            "annotated_xyxy": prediction.annotated_xyxy,
            "boxes_xyxy": prediction.boxes_xyxy,
            "scores": prediction.scores,
            "iou": float(iou),
            "image_path": expression.image_path,
        }
        for prediction, expression, iou in zip(
            summary.predictions, summary.expressions, summary.values["miou"], strict=True
        )
        if expression is not None
    ]
