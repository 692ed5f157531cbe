"""The curves, bars and matrices of a comparison, as PNG files.

The colours of the methods are Okabe and Ito's (2008, "Color Universal Design"), which colour-blind readers can tell
apart; a method has one colour in every picture. Bounds are grey and dashed.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from itertools import cycle, product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import PercentFormatter

from grounding.evaluation.metrics import BINS
from grounding.evaluation.summary import BACKGROUND
from grounding.runtime.errors import visible
from grounding.visualization.drawing import save_figure

DPI = 150
PADDING = 0.08  # inches about each panel
# Without Okabe and Ito's green, hard to see on grass in the galleries, and their yellow, faint on white.
PALETTE = ("#0072B2", "#E69F00", "#CC79A7", "#56B4E9", "#D55E00", "#000000")
OF_METHODS = dict(zip(("zero-shot", "gradcam", "yolo-clip", "reclip"), PALETTE[1:5], strict=True))
GREYS = ("#222222", "#999999")
DASHES = ((0, (5, 2)), (0, (1, 1.5)), (0, (6, 2, 1, 2)))
MOST_GROUPS = 15  # of one breakdown
FEW_GROUPS = 6  # panels with at most so many stand two to a row
EMPTY = ""  # the place beside a last panel
MOST_CATEGORIES, OTHER = 20, "other"  # of the confusion matrix, and what all further ones are together


def draw_plots(results: Mapping[str, Any], folder: Path) -> dict[str, Path]:
    """Draw every plot that these results have the numbers for: its name -> its PNG file, 150 dpi."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = {}
    for draw in (accuracy_over_iou, breakdowns, confusion, reliability):
        name = draw.__name__  # of a function, and of what it shows in the record of a method
        if any(record.get(name) for record in results["methods"].values()):
            paths[name] = folder / f"{name}.png"
            save_figure(draw(results), paths[name], dpi=DPI)
    return paths


def method_colours(results: Mapping[str, Any]) -> dict[str, str]:
    """The colour "#RRGGBB" of each method, in every plot and gallery; of methods by one word the same in every
    comparison, of the others in their order those that are left."""
    taken = {name: OF_METHODS[name] for name in results["methods"] if name in OF_METHODS}
    own = [colour for colour in PALETTE if colour not in OF_METHODS.values()]
    others = cycle([*own, *(colour for colour in OF_METHODS.values() if colour not in taken.values())])
    return {name: taken.get(name) or next(others) for name in results["methods"]}


def accuracy_over_iou(results: Mapping[str, Any]) -> Figure:
    """Acc@t of methods and bounds over the threshold t."""
    bounds = results.get("bounds", {})
    figure = padded_figure(7.4, 4.2)
    axis = figure.subplots()
    tidy(axis)
    axis.axvline(0.5, color="#DDDDDD", linewidth=1)
    styles: dict[str, dict[str, Any]] = {
        name: {"color": colour, "linewidth": 2} for name, colour in method_colours(results).items()
    }
    for name, (grey, dash) in zip(bounds, cycle(product(GREYS, DASHES)), strict=False):
        styles[name] = {"color": grey, "linewidth": 1.4, "linestyle": dash}
    for name, record in {**results["methods"], **bounds}.items():
        curve, label = record["accuracy_over_iou"], f"{name} (bound)" if name in bounds else name
        axis.plot(curve["threshold"], curve["accuracy"], label=label, **styles[name])
    axis.set(xlabel="IoU threshold t", ylabel="Acc@t", xlim=(0, 1), ylim=(0, 1.01))
    figure.legend(loc="outside right upper", frameon=False, handlelength=3)
    return figure


def breakdowns(results: Mapping[str, Any]) -> Figure:
    """Acc@0.5 of the methods, one panel per kind of breakdown."""
    first, *_ = results["methods"].values()
    axes = first["breakdowns"]
    wide = [[name] * 2 for name, groups in axes.items() if len(groups) > FEW_GROUPS]
    narrow = [name for name, groups in axes.items() if len(groups) <= FEW_GROUPS]
    rows = [[*narrow[start : start + 2], EMPTY][:2] for start in range(0, len(narrow), 2)] + wide
    figure = padded_figure(12, 3.1 * len(rows) + 0.5)
    panels = figure.subplot_mosaic(rows, empty_sentinel=EMPTY)
    for name in axes:
        _breakdown_panel(panels[name], name, results)
    handles, labels = panels[rows[0][0]].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=min(len(labels), 6), frameon=False)
    return figure


def _breakdown_panel(axis: Axes, name: str, results: Mapping[str, Any]) -> None:
    first, *_ = results["methods"].values()
    sizes = {group: part["n"] for group, part in first["breakdowns"][name].items()}
    groups, title = list(sizes), name
    if len(groups) > MOST_GROUPS:
        groups = sorted(groups, key=lambda group: -sizes[group])[:MOST_GROUPS]
        title = f"{name} (the {MOST_GROUPS} most frequent of {len(sizes)})"
    width = 0.8 / len(results["methods"])
    for index, (method, colour) in enumerate(method_colours(results).items()):
        of_method = results["methods"][method]["breakdowns"][name]
        heights = [of_method[group]["metrics"]["acc@0.5"] for group in groups]
        left = np.arange(len(groups)) - 0.4 + index * width
        axis.bar(left, heights, width, align="edge", color=colour, label=method, edgecolor="white", linewidth=0.5)
    across, size = (11, 8) if len(groups) > FEW_GROUPS else (24, 9)
    ticks = [f"{textwrap.fill(visible(group), across)}\nn = {sizes[group]}" for group in groups]
    axis.set_xticks(range(len(groups)), ticks, fontsize=size)
    axis.set(xlim=(-0.6, len(groups) - 0.4), ylim=(0, 1), ylabel="Acc@0.5")
    axis.set_title(title, loc="left", fontsize=11)
    tidy(axis)


def reliability(results: Mapping[str, Any]) -> Figure:
    """Accuracy over score, with the expected calibration error (Guo et al. 2017), over a histogram of the scores."""
    methods = {name: record for name, record in results["methods"].items() if record.get("reliability")}
    figure = padded_figure(7, 6)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    upper.plot([0, 1], [0, 1], color="#999999", linestyle="--", linewidth=1, label="perfectly calibrated")
    for name, record in methods.items():
        bins, colour = pd.DataFrame(record["reliability"]), method_colours(results)[name]
        label = f"{name}, ECE {record['metrics']['ece']:.3f}"
        upper.plot(bins["score"], bins["accuracy"], "o-", color=colour, label=label, markersize=5)
        counts, edges = np.histogram(bins[["low", "high"]].mean(axis=1), BINS, (0, 1), weights=bins["n"])
        lower.stairs(counts / counts.sum(), edges, color=colour, linewidth=1.5)
    upper.set(xlim=(0, 1), ylim=(-0.02, 1.02), ylabel="share with IoU ≥ 0.5")
    lower.set(xlabel="score of the best box", ylabel="share of phrases", ylim=(0, None))
    lower.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    tidy(upper)
    tidy(lower)
    figure.legend(loc="outside right upper", frameon=False)
    return figure


def confusion(results: Mapping[str, Any]) -> Figure:
    """Which category the first method found (columns) where which was wanted (rows), each row as shares."""
    name, record = next(iter(results["methods"].items()))
    counts = confusion_matrix(record["confusion"])
    totals, columns = counts.sum(axis=1), list(map(visible, counts.columns))
    shares = counts.div(totals, axis=0).to_numpy()
    side = max(4.5, 0.42 * len(columns) + 2.2)
    figure = padded_figure(side + 1, side)
    axis = figure.subplots()
    picture = axis.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    labels = [f"{visible(str(row))} (n = {total:.0f})" for row, total in totals.items()]
    axis.set_yticks(range(len(labels)), labels, fontsize=9)
    axis.set_xticks(range(len(columns)), columns, fontsize=9, rotation=45, ha="right", rotation_mode="anchor")
    axis.set(xlabel="found", ylabel="wanted")
    axis.set_title(f"{name}: category under the best box", loc="left", fontsize=11)
    figure.colorbar(picture, ax=axis, label="share of the row", fraction=0.05)
    return figure


def confusion_matrix(confusion: Mapping[str, Mapping[str, float]], most: int = MOST_CATEGORIES) -> pd.DataFrame:
    """Counts of (wanted, found) with the most often wanted category first, "background" last; where there are more than
    `most` categories, the rest are one, "other"."""
    counts = pd.DataFrame.from_dict(confusion, orient="index").fillna(0.0)
    wanted = sorted(counts.index, key=lambda category: (-counts.loc[category].sum(), category))
    order = wanted + sorted(set(counts.columns) - {*wanted, BACKGROUND})
    merged = dict.fromkeys(order[most:], OTHER)
    counts = counts.rename(index=merged, columns=merged).groupby(level=0).sum().T.groupby(level=0).sum().T
    columns = list(dict.fromkeys([*order[:most], *merged.values(), BACKGROUND]))
    return counts.reindex(index=[each for each in columns if each in counts.index], columns=columns, fill_value=0.0)


def padded_figure(width: float, height: float) -> Figure:
    """An empty figure, in inches, whose panels keep clear of each other."""
    return Figure(figsize=(width, height), layout=ConstrainedLayoutEngine(w_pad=PADDING, h_pad=PADDING))


def tidy(axis: Axes) -> None:
    axis.spines[["top", "right"]].set_visible(False)
    axis.grid(axis="y", color="#E6E6E6", linewidth=0.8)
    axis.set_axisbelow(True)
