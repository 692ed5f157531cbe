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
BESIDE_PICTURE = 0.06  # between a picture and the text below it
LEGEND_HANDLE = 0.75  # beside a name in the legend
TALLEST, FLATTEST = 1.6, 0.45  # of a panel: height over width
# Points.
TITLE, HEADING, TEXT, SMALL = 11.0, 10.0, 9.0, 8.5
MOST_LINES = {"title": 12, "heading": 3, "explanation": 6, "phrase": 4, "note": 2}
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
        phrase, notes: below it.
    """

    size: tuple[int, int]
    draw: Callable[[Axes], None]
    heading: str = ""
    phrase: str = ""
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class FigureRow:
    """Panels side by side under a heading, and under a note on it; either may be ""."""

    panels: Sequence[FigurePanel]
    heading: str = ""
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
        if all(width_of(line, size, weight=weight) <= width for line in lines):
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


def draw_rows(
    rows: Sequence[FigureRow],
    *,
    title: str,
    legend: Mapping[str, Any],
    explanation: str = "",
    tallest: float = TALLEST,
) -> Figure:
    """A figure of all rows under one title.

    Args:
        rows: at least one.
        title: of the figure; wrapped to its width.
        legend: what it explains -> matplotlib's handles.
        explanation: under the title.
        tallest: height over width of a panel, at most; taller pictures get margins.
    """
    columns = max(len(row.panels) for row in rows)
    page = _Page(columns * (PANEL + GAP) - GAP)
    page.write(title, TITLE, MOST_LINES["title"], weight="bold")
    page.write(explanation, SMALL, MOST_LINES["explanation"], color=SOFT)
    legend_top, legend_names = page.top + 0.03, list(legend)
    across = legend_columns(legend_names, page.room, SMALL)
    page.top += 0.06 + SMALL * LEADING / 72 * -(-len(legend) // across) + GAP
    for row in rows:
        page.write(row.heading, HEADING, MOST_LINES["heading"], weight="bold")
        page.write(row.note, SMALL, 1, color=SOFT)
        page.draw(row.panels, tallest)
    figure = page.finished()
    figure.legend(list(legend.values()), legend_names, loc="upper left", ncols=across, frameon=False, fontsize=SMALL,
                  bbox_to_anchor=page.place(MARGIN, legend_top), borderpad=0, borderaxespad=0, handlelength=3,
                  columnspacing=1.8, labelspacing=0.3)  # fmt: skip
    return figure


class _Page:
    """A figure that is written from top to bottom, in inches from its upper left corner; its height follows."""

    def __init__(self, room: float) -> None:
        self.room, self.top = room, MARGIN
        self._texts: list[tuple[float, float, str, dict[str, Any]]] = []
        self._axes: list[tuple[float, float, float, FigurePanel]] = []

    def write(self, text: str, size: float, most_lines: int, **style: Any) -> None:
        """Lines of text in a font size (points) over the whole width."""
        lines = fitted(text, HINTED * self.room, size, most_lines, weight=style.get("weight", "normal"))
        self.top = self._lines(lines, MARGIN, self.top, size, **style)

    def draw(self, panels: Sequence[FigurePanel], tallest: float) -> None:
        """Panels side by side, the texts of each right below its picture."""
        self.top += HEADING_ROOM if any(panel.heading for panel in panels) else BESIDE_PICTURE
        shapes = [panel.size[1] / panel.size[0] for panel in panels]
        high = PANEL * min(max(*shapes, FLATTEST), tallest)
        bottoms = [self.top + high + BELOW]
        for column, (panel, shape) in enumerate(zip(panels, shapes, strict=True)):
            left = MARGIN + column * (PANEL + GAP)
            self._axes.append((left, self.top, high, panel))
            bottom = self.top + min(high, PANEL * shape) + BESIDE_PICTURE
            texts = [(panel.phrase, TEXT, "phrase", INK), *((note, SMALL, "note", SOFT) for note in panel.notes)]
            for text, size, kind, colour in texts:
                lines = fitted(text, HINTED * PANEL, size, MOST_LINES[kind])
                bottom = self._lines(lines, left + PANEL / 2, bottom, size, color=colour, ha="center")
            bottoms.append(bottom)
        self.top = max(bottoms) + GAP

    def finished(self) -> Figure:
        """The figure with all that was written."""
        self.size = self.room + 2 * MARGIN, self.top - GAP + MARGIN
        figure = Figure(figsize=self.size)
        for x, y, line, style in self._texts:
            figure.text(*self.place(x, y), line, va="top", parse_math=False, **style)
        for left, top, high, panel in self._axes:
            x, y = self.place(left, top + high)
            axis = figure.add_axes((x, y, PANEL / self.size[0], high / self.size[1]), anchor="N")
            panel.draw(axis)
            axis.set_title(panel.heading, fontsize=TEXT, pad=4, parse_math=False)
        return figure

    def place(self, x: float, y: float) -> tuple[float, float]:
        """As matplotlib counts: shares of the finished figure from its lower left corner."""
        return x / self.size[0], 1 - y / self.size[1]

    def _lines(self, lines: Sequence[str], x: float, y: float, size: float, **style: Any) -> float:
        """Note down lines of text, the first one's top at y, and return where the next one would stand."""
        for line in lines:
            self._texts.append((x, y, line, {"color": INK, "fontsize": size, **style}))
            y += size * LEADING / 72
        return y
