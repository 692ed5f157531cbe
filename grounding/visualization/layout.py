"""Rows of panels, one row per phrase: the frame that all pictures of answers share."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from grounding.geometry import box_iou
from grounding.visualization.drawing import ANNOTATED_STYLE, BOX_COLOUR, draw_boxes, keep_labels_inside, legend_line

PANEL_WIDTH = 3.0  # inches
TALLEST, FLATTEST = 1.6, 0.45  # of a panel: height over width; stranger pictures get margins
LETTERS_PER_INCH = 11
BOLD = 0.9  # so many bold letters take the room of one
PHRASE_LINES = 3
LINE = 0.19  # inches
HEADER, CAPTION = 0.54, 0.36  # inches above a row's panels, and below them
FOOTER = 0.4


@dataclass(frozen=True)
class Panel:
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
class Row:
    """What is drawn about one phrase.

    Attributes:
        phrase: over the row.
        size: (width, height) in pixels of the image.
        panels: from left to right.
    """

    phrase: str
    size: tuple[int, int]
    panels: Sequence[Panel]


def draw_rows(rows: Sequence[Row], *, title: str, annotated: bool) -> Figure:
    """A figure of all rows under one title.

    Args:
        rows: at least one.
        title: of the figure; wrapped to its width.
        annotated: whether a row shows an annotated box, which the legend then explains.
    """
    columns = max(len(row.panels) for row in rows)
    width = PANEL_WIDTH * columns
    letters = int(width * LETTERS_PER_INCH)
    shapes = [min(max(row.size[1] / row.size[0], FLATTEST), TALLEST) for row in rows]
    phrases = [textwrap.wrap(f'"{row.phrase}"', int(letters * BOLD), max_lines=PHRASE_LINES, placeholder=' …"')
               for row in rows]  # fmt: skip
    headers = [HEADER + LINE * (len(lines) - 1) for lines in phrases]
    heights = [PANEL_WIDTH * shape + header + CAPTION for shape, header in zip(shapes, headers, strict=True)]
    heading = "\n".join(textwrap.wrap(title, letters))
    top = 0.25 + LINE * (heading.count("\n") + 1)
    total = top + sum(heights) + FOOTER + (LINE if columns == 1 else 0)
    figure = Figure(figsize=(width, total))
    figure.text(0.5, 1 - 0.12 / total, heading, ha="center", va="top", fontsize=10, parse_math=False)
    above = top
    for row, lines, header, shape, height in zip(rows, phrases, headers, shapes, heights, strict=True):
        figure.text(0.08 / width, 1 - (above + 0.1) / total, "\n".join(lines), va="top", fontsize=10, weight="bold",
                    parse_math=False)  # fmt: skip
        for index, panel in enumerate(row.panels):
            left = (index * PANEL_WIDTH + 0.08) / width
            bottom = 1 - (above + header + PANEL_WIDTH * shape) / total
            axis = figure.add_axes((left, bottom, (PANEL_WIDTH - 0.16) / width, (PANEL_WIDTH * shape - 0.06) / total))
            axis.set_anchor("N")
            panel.draw(axis)
            axis.set_title(panel.heading, fontsize=9, pad=4, parse_math=False)
            axis.text(0.5, -0.03, panel.caption, transform=axis.transAxes, ha="center", va="top", fontsize=8.5,
                      color="#444444", parse_math=False)  # fmt: skip
        above += height
    legend = {"best box, with its score": legend_line(BOX_COLOUR, 1.8)}
    if annotated:
        legend["annotated box"] = legend_line(**ANNOTATED_STYLE)
    figure.legend(list[Any](legend.values()), list(legend), loc="lower center", ncols=min(columns, 2), frameon=False,
                  fontsize=9, handlelength=3)  # fmt: skip
    keep_labels_inside(figure)
    return figure


def draw_annotated(axis: Axes, box_xyxy: np.ndarray | None) -> None:
    """The annotated box (4,) in pixels of the image, after all others."""
    if box_xyxy is not None:
        draw_boxes(axis, box_xyxy[None], **ANNOTATED_STYLE)


def iou_caption(boxes_xyxy: np.ndarray, box_xyxy: np.ndarray | None) -> str:
    """How well the best box fits the annotated one, where there is one."""
    return "" if box_xyxy is None else f"IoU {box_iou(boxes_xyxy[:1], box_xyxy[None])[0, 0]:.2f}"
