"""Which category a method found where which was wanted: the matrix and its picture."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from grounding.evaluation.summary import BACKGROUND

MOST_CATEGORIES = 20
ANNOTATED_COLUMNS = 13  # up to so many, each cell holds its number
OTHER = "other"


def confusion(results: Mapping[str, Any]) -> Figure | None:
    """Which category the first method found (columns) where which was wanted (rows), each row as shares."""
    name, record = next(iter(results["methods"].items()))
    if not record.get("confusion"):
        return None
    rows, columns, counts = confusion_matrix(record["confusion"])
    totals = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, totals, out=np.zeros_like(counts), where=totals > 0)
    side = max(4.5, 0.42 * len(columns) + 2.2)
    figure = Figure(figsize=(side + 1, side), layout=ConstrainedLayoutEngine(w_pad=0.08, h_pad=0.08))
    axis = figure.subplots()
    picture = axis.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    labels = [f"{row} (n = {total:.0f})" for row, total in zip(rows, totals[:, 0], strict=True)]
    axis.set_yticks(range(len(rows)), labels, fontsize=9)
    axis.set_xticks(range(len(columns)), columns, fontsize=9, rotation=45, ha="right", rotation_mode="anchor")
    axis.set(xlabel="found", ylabel="wanted")
    axis.set_title(f"{name}: category under the best box", loc="left", fontsize=11)
    if len(columns) <= ANNOTATED_COLUMNS:
        for (row, column), share in np.ndenumerate(shares):
            colour = "white" if share > 0.5 else "#333333"
            axis.text(column, row, f"{share:.2f}", ha="center", va="center", fontsize=8, color=colour)
    figure.colorbar(picture, ax=axis, label="share of the row", fraction=0.05)
    return figure


def confusion_matrix(
    confusion: Mapping[str, Mapping[str, float]], most: int = MOST_CATEGORIES
) -> tuple[list[str], list[str], np.ndarray]:
    """Counts of (wanted, found) with the most often wanted category first, "background" last.

    Args:
        confusion: wanted category -> found category or "background" -> count.
        most: categories shown; where there are more, the rest are one, "other".

    Returns:
        Names of the rows, names of the columns, and (rows, columns) float64 counts.
    """
    wanted = {category: sum(found.values()) for category, found in confusion.items()}
    only_found = {category for found in confusion.values() for category in found} - set(wanted) - {BACKGROUND}
    order = sorted(wanted, key=lambda category: (-wanted[category], category)) + sorted(only_found)
    shown = order[:most]
    columns = [*shown, *([OTHER] if len(order) > most else []), BACKGROUND]
    counts = np.zeros((len(columns), len(columns)))
    place = {category: index for index, category in enumerate(columns)}
    for category, found in confusion.items():
        for other, count in found.items():
            counts[place.get(category, place.get(OTHER, 0)), place.get(other, place.get(OTHER, 0))] += count
    rows = [index for index, category in enumerate(columns) if counts[index].sum() > 0]
    return [columns[index] for index in rows], columns, counts[rows]
