"""Figures laid out in inches: text that fits its place, and rows of pictures under headings, with a legend."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties

from grounding.errors import writable
from grounding.visualization.drawing import INK

# Inches.
PANEL, GAP, MARGIN = 2.8, 0.2, 0.1  # width of a panel, between panels and rows, and about everything
HEADING_ROOM, BELOW = 0.26, 0.24  # above a panel that has a heading, and below each for what hangs from it
LEGEND_HANDLE = 0.75  # beside a name in the legend
TALLEST, FLATTEST = 1.6, 0.45  # of a panel: height over width
# Points.
TITLE, HEADING, TEXT, SMALL = 11.0, 10.0, 9.0, 8.5
SOFT = "#5B6470"
LEADING = 1.35  # of a line, in font sizes
MOST_LETTERS = 400  # of a line: more are never tried
HINTED = 0.95  # of the room for text: at a screen's resolution letters are drawn up to so much wider
ELLIPSIS = " …"
RULER = RendererAgg(1, 1, 72)  # at 72 dots per inch a point is one


@dataclass(frozen=True)
class FigurePanel:
    """One picture in a row.

    Attributes:
        size: (width, height) in pixels.
        draw: puts the picture on an axis.
        heading: above it.
        note: a short one, below it.
    """

    size: tuple[int, int]
    draw: Callable[[Axes], None]
    heading: str
    note: str = ""


def fitted(text: str, width: float, size: float, most_lines: int, *, weight: str = "normal") -> list[str]:
    """Lines of a text, the last with an ellipsis where not all of it has room; none of no text.

    Args:
        text: white space in it counts as one space.
        width: of the place in inches.
        size: of the font in points.
        most_lines: at least 1.
        weight: of the font, as matplotlib's.
    """
    text = writable(text)
    best, low, high = [ELLIPSIS.strip()], len(ELLIPSIS), min(len(text) + len(ELLIPSIS), MOST_LETTERS)
    while low <= high:
        letters = (low + high) // 2
        lines = textwrap.wrap(text, letters, max_lines=most_lines, placeholder=ELLIPSIS)
        if all(width_of(line, size, weight=weight) <= HINTED * width for line in lines):
            best, low = lines, letters + 1
        else:
            high = letters - 1
    return best


def width_of(line: str, size: float, *, weight: str = "normal") -> float:
    """Inches that a line of a font size (points) takes."""
    font = FontProperties(size=size, weight=weight)
    return RULER.get_text_width_height_descent(line, font, False)[0] / 72


def legend_columns(names: Sequence[str], width: float, size: float) -> int:
    """How many names of a legend in a font size (points) fit side by side into a width in inches."""
    return max(1, min(len(names), int(width / (max(width_of(name, size) for name in names) + LEGEND_HANDLE))))


def draw_rows(rows: Sequence[tuple[str, Sequence[FigurePanel]]], *, title: str, legend: Mapping[str, Any]) -> Figure:
    """A figure of all rows under one title and a legend.

    Args:
        rows: at least one: its heading, and its panels, side by side.
        title: of the figure; wrapped to its width, as headings are.
        legend: what it explains -> matplotlib's handles.
    """
    room = max(len(panels) for _, panels in rows) * (PANEL + GAP) - GAP
    said = fitted(title, room, TITLE, 12, weight="bold")
    headings = [fitted(heading, room, HEADING, 3, weight="bold") for heading, _ in rows]
    shapes = [max(panel.size[1] / panel.size[0] for panel in panels) for _, panels in rows]
    highs = [PANEL * min(max(shape, FLATTEST), TALLEST) for shape in shapes]
    across = legend_columns(list(legend), room, SMALL)
    legend_top = MARGIN + len(said) * LEADING * TITLE / 72 + 0.04
    top = legend_top - (-len(legend) // across) * LEADING * SMALL / 72 + GAP
    panel_tops = []
    for lines, high in zip(headings, highs, strict=True):
        panel_tops.append(top + len(lines) * LEADING * HEADING / 72 + HEADING_ROOM)
        top = panel_tops[-1] + high + BELOW + GAP
    width, height = room + 2 * MARGIN, top - GAP + MARGIN
    figure = Figure(figsize=(width, height))

    def place(x: float, y: float) -> tuple[float, float]:
        return x / width, 1 - y / height

    style: dict[str, Any] = {"color": INK, "weight": "bold", "parse_math": False}
    figure.text(*place(MARGIN, MARGIN), "\n".join(said), va="top", fontsize=TITLE, **style)
    figure.legend(list(legend.values()), list(legend), loc="upper left", ncols=across, frameon=False, fontsize=SMALL,
                  bbox_to_anchor=place(MARGIN, legend_top), borderpad=0, borderaxespad=0, handlelength=3,
                  columnspacing=1.8, labelspacing=0.3)  # fmt: skip
    for (_, panels), lines, top, high in zip(rows, headings, panel_tops, highs, strict=True):
        figure.text(*place(MARGIN, top - HEADING_ROOM), "\n".join(lines), va="bottom", fontsize=HEADING, **style)
        for column, panel in enumerate(panels):
            left_and_bottom = place(MARGIN + column * (PANEL + GAP), top + high)
            axis = figure.add_axes((*left_and_bottom, PANEL / width, high / height), anchor="N")
            panel.draw(axis)
            axis.set_title(panel.heading, fontsize=TEXT, pad=4, parse_math=False)
            axis.text(0.5, -0.03, panel.note, transform=axis.transAxes, ha="center", va="top", fontsize=SMALL)
    return figure
