"""Which category a method found where which was wanted: the matrix and its picture."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
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
    counts = confusion_matrix(record["confusion"])
    totals, columns = counts.sum(axis=1), list(counts.columns)
    shares = counts.div(totals, axis=0).to_numpy()
    side = max(4.5, 0.42 * len(columns) + 2.2)
    figure = Figure(figsize=(side + 1, side), layout=ConstrainedLayoutEngine(w_pad=0.08, h_pad=0.08))
    axis = figure.subplots()
    picture = axis.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    labels = [f"{row} (n = {total:.0f})" for row, total in totals.items()]
    axis.set_yticks(range(len(labels)), labels, fontsize=9)
    axis.set_xticks(range(len(columns)), columns, fontsize=9, rotation=45, ha="right", rotation_mode="anchor")
    axis.set(xlabel="found", ylabel="wanted")
    axis.set_title(f"{name}: category under the best box", loc="left", fontsize=11)
    if len(columns) <= ANNOTATED_COLUMNS:
        for (row, column), share in np.ndenumerate(shares):
            colour = "white" if share > 0.5 else "#333333"
            axis.text(column, row, f"{share:.2f}", ha="center", va="center", fontsize=8, color=colour)
    figure.colorbar(picture, ax=axis, label="share of the row", fraction=0.05)
    return figure


def confusion_matrix(confusion: Mapping[str, Mapping[str, float]], most: int = MOST_CATEGORIES) -> pd.DataFrame:
    """Counts of (wanted, found) with the most often wanted category first, "background" last.

    Args:
        confusion: wanted category -> found category or "background" -> count.
        most: categories shown; where there are more, the rest are one, "other".
    """
    counts = pd.DataFrame.from_dict(confusion, orient="index").fillna(0.0)
    wanted = sorted(counts.index, key=lambda category: (-counts.loc[category].sum(), category))
    order = wanted + sorted(set(counts.columns) - {*wanted, BACKGROUND})
    merged = dict.fromkeys(order[most:], OTHER)
    counts = counts.rename(index=merged, columns=merged).groupby(level=0).sum().T.groupby(level=0).sum().T
    columns = list(dict.fromkeys([*order[:most], *merged.values(), BACKGROUND]))
    return counts.reindex(index=[each for each in columns if each in counts.index], columns=columns, fill_value=0.0)
