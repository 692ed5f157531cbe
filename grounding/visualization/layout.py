"""Figures laid out in inches: text that fits its place, and rows of panels, one row per phrase."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties

from grounding.geometry import box_iou
from grounding.visualization.drawing import (
    ANNOTATED_STYLE,
    BOX_COLOUR,
    INK,
    draw_boxes,
    keep_labels_inside,
    legend_line,
)

# Inches.
PANEL_WIDTH = 3.0
HEADING, CAPTION = 0.35, 0.36  # above a row's panels and below them
FOOTER, LEGEND_LINE = 0.4, 0.19
MARGIN = 0.08
TALLEST, FLATTEST = 1.6, 0.45  # of a panel: height over width; stranger pictures get margins
TITLE = 10.0  # points, as the phrases
TITLE_LINES, PHRASE_LINES = 12, 3
LEADING = 1.35  # of a line, in font sizes
MOST_LETTERS = 400  # of a line: more are never tried
HINTED = 0.95  # of the room for text: at a screen's resolution letters are drawn up to so much wider
ELLIPSIS = " …"
RULER = RendererAgg(1, 1, 72)  # at 72 dots per inch a point is one


def fitted(text: str, width: float, size: float, most_lines: int, *, weight: str = "normal") -> list[str]:
    """Lines of a text, the last with an ellipsis where not all of it has room.

    Args:
        text: white space in it counts as one space.
        width: of the place in inches.
        size: of the font in points.
        most_lines: at least 1.
        weight: of the font, as matplotlib's.

    Returns:
        At least one line.
    """
    best, low, high = [ELLIPSIS.strip()], len(ELLIPSIS), min(len(text) + len(ELLIPSIS), MOST_LETTERS)
    while low <= high:
        letters = (low + high) // 2
        lines = textwrap.wrap(text, letters, max_lines=most_lines, placeholder=ELLIPSIS) or [""]
        if all(width_of(line, size, weight=weight) <= width for line in lines):
            best, low = lines, letters + 1
        else:
            high = letters - 1
    return best


def width_of(line: str, size: float, *, weight: str = "normal") -> float:
    """Inches that a line of a font size (points) takes."""
    font = FontProperties(size=size, weight=weight)
    return RULER.get_text_width_height_descent(line, font, False)[0] / 72


def height_of(size: float, lines: Sequence[str] = ("",)) -> float:
    """Inches that lines of a font size (points) take."""
    return size * LEADING * len(lines) / 72


@dataclass(frozen=True)
class InchFigure:
    """A figure whose places are inches from its upper left corner."""

    figure: Figure

    def place(self, x: float, y: float) -> tuple[float, float]:
        """As matplotlib counts: shares of the figure from its lower left corner."""
        width, height = self.figure.get_size_inches()
        return x / width, 1 - y / height

    def write(self, x: float, y: float, lines: Sequence[str], size: float, **style: Any) -> None:
        """Lines of text of a font size (points), the first one's top at y."""
        for index, line in enumerate(lines):
            place = self.place(x, y + height_of(size) * index)
            self.figure.text(*place, line, fontsize=size, va="top", parse_math=False, **{"color": INK, **style})

    def axis(self, x: float, y: float, width: float, height: float) -> Axes:
        """An axis whose upper left corner is at (x, y)."""
        (left, bottom), (right, top) = self.place(x, y + height), self.place(x + width, y)
        return self.figure.add_axes((left, bottom, right - left, top - bottom))


@dataclass(frozen=True)
class FigurePanel:
    """One picture in a row.

    Attributes:
        heading: above it.
        draw: puts the picture on an axis.
        caption: below it.
    """

    heading: str
    draw: Callable[[Axes], None]
    caption: str = ""


@dataclass(frozen=True)
class FigureRow:
    """What is drawn about one phrase.

    Attributes:
        phrase: over the row.
        size: (width, height) in pixels of the image.
        panels: from left to right.
    """

    phrase: str
    size: tuple[int, int]
    panels: Sequence[FigurePanel]


def draw_rows(rows: Sequence[FigureRow], *, title: str, annotated: bool) -> Figure:
    """A figure of all rows under one title.

    Args:
        rows: at least one.
        title: of the figure; wrapped to its width.
        annotated: whether a row shows an annotated box, which the legend then explains.
    """
    columns = max(len(row.panels) for row in rows)
    width = PANEL_WIDTH * columns
    room = HINTED * (width - 2 * MARGIN)
    heading = fitted(title, room, TITLE, TITLE_LINES)
    panels = [PANEL_WIDTH * min(max(row.size[1] / row.size[0], FLATTEST), TALLEST) for row in rows]
    phrases = [fitted(f'"{row.phrase}"', room, TITLE, PHRASE_LINES, weight="bold") for row in rows]
    above = 0.25 + height_of(TITLE, heading)
    total = above + sum(HEADING + height_of(TITLE, lines) + high + CAPTION
                        for lines, high in zip(phrases, panels, strict=True)) + FOOTER  # fmt: skip
    page = InchFigure(Figure(figsize=(width, total + (LEGEND_LINE if columns == 1 else 0))))
    for index, line in enumerate(heading):
        page.write(width / 2, 0.12 + height_of(TITLE) * index, [line], TITLE, ha="center")
    for row, lines, high in zip(rows, phrases, panels, strict=True):
        page.write(MARGIN, above + 0.1, lines, TITLE, weight="bold")
        above += HEADING + height_of(TITLE, lines)
        for index, panel in enumerate(row.panels):
            axis = page.axis(index * PANEL_WIDTH + MARGIN, above, PANEL_WIDTH - 2 * MARGIN, high - 0.06)
            axis.set_anchor("N")
            panel.draw(axis)
            axis.set_title(panel.heading, fontsize=9, pad=4, parse_math=False)
            axis.text(0.5, -0.03, panel.caption, transform=axis.transAxes, ha="center", va="top", fontsize=8.5,
                      color="#444444", parse_math=False)  # fmt: skip
        above += high + CAPTION
    legend = {"best box, with its score": legend_line(BOX_COLOUR, 1.8)}
    if annotated:
        legend["annotated box"] = legend_line(**ANNOTATED_STYLE)
    page.figure.legend(list[Any](legend.values()), list(legend), loc="lower center", ncols=min(columns, 2),
                       frameon=False, fontsize=9, handlelength=3)  # fmt: skip
    keep_labels_inside(page.figure)
    return page.figure


def draw_annotated(axis: Axes, box_xyxy: np.ndarray | None) -> None:
    """The annotated box (4,) in pixels of the image, after all others."""
    if box_xyxy is not None:
        draw_boxes(axis, box_xyxy[None], **ANNOTATED_STYLE)


def iou_caption(boxes_xyxy: np.ndarray, box_xyxy: np.ndarray | None) -> str:
    """How well the best box fits the annotated one, where there is one."""
    return "" if box_xyxy is None else f"IoU {box_iou(boxes_xyxy[:1], box_xyxy[None])[0, 0]:.2f}"
