"""The folder of a comparison: tables, plots and the page, from its results and predictions."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from grounding.report.tables import write_tables
from grounding.summary import Summary
from grounding.types import Expression


def write_report(
    folder: Path, results: Mapping[str, Any], summaries: Mapping[str, Summary], expressions: Mapping[int, Expression]
) -> None:
    """Write `tables/`, `plots/` and `report.html`."""
    write_tables(results, folder / "tables")
