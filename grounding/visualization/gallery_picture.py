"""Examples as one picture for a paper or a slide: how they were chosen, a legend, and rows under headings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from tqdm import tqdm

from grounding.errors import InputError
from grounding.visualization.drawing import ANNOTATED_STYLE, legend_line
from grounding.visualization.example_drawing import (
    BELOW,
    COLOURS,
    COLUMNS,
    DPI,
    MARGIN,
    ROOM,
    SMALL,
    SOFT,
    TALLEST,
    ExampleRow,
    Page,
)
from grounding.visualization.fitted_text import fitted, height_of, width_of
from grounding.visualization.selection import Examples

# Inches.
ABOVE_LEGEND = 0.06
MOST_HEIGHT = 400.0  # a PNG of twice the height could not be written
# Points.
TITLE, HEADING = 13.0, 11.0
TITLE_LINES, EXPLANATION_LINES = 2, 6


def draw_gallery(examples: Examples, read: Callable[[int], np.ndarray], *, where: str) -> Figure:
    """A figure of all examples, to be saved at `DPI`.

    Args:
        examples: at least one.
        read: image id -> (H, W, 3) uint8 RGB.
        where: data set and split, for the title.

    Raises:
        InputError: an image cannot be read, or there are more examples than a picture holds.
    """
    total = sum(len(section.examples) for section in examples.sections)
    title = fitted(examples.title(where, total), ROOM, TITLE, TITLE_LINES, weight="bold")
    explanation = fitted(examples.explanation, ROOM, SMALL, EXPLANATION_LINES)
    head = height_of(TITLE, title) + 0.05 + height_of(SMALL, explanation) + ABOVE_LEGEND + height_of(SMALL) + BELOW
    if head + total / COLUMNS * TALLEST > MOST_HEIGHT:
        raise InputError(f"a picture of {total} examples would be too tall: give a smaller --count")
    with tqdm(total=total, desc="picture", unit="example", disable=None) as bar:
        bands: list[_Heading | ExampleRow] = []
        for section in examples.sections:
            if section.title:
                bands.append(_Heading(section.title, section.note))
            above = TALLEST
            for start in range(0, len(section.examples), COLUMNS):
                part = section.examples[start : start + COLUMNS]
                # A few left over do not become larger than those above them.
                tallest = above if len(part) < COLUMNS else TALLEST
                row = ExampleRow.of(part, examples.names, read, tallest)
                bands.append(row)
                above = row.high
                bar.update(len(part))
    height = 2 * MARGIN + head + sum(band.height for band in bands) - BELOW
    figure = Figure(figsize=(ROOM + 2 * MARGIN, height), dpi=DPI)
    page = Page(figure)
    top = MARGIN
    page.write(MARGIN, top, title, TITLE, weight="bold")
    top += height_of(TITLE, title) + 0.05
    page.write(MARGIN, top, explanation, SMALL, color=SOFT)
    top += height_of(SMALL, explanation) + ABOVE_LEGEND
    _legend(page, top, examples.names)
    top = MARGIN + head
    for band in bands:
        band.draw(page, top)
        top += band.height
    return figure


@dataclass(frozen=True)
class _Heading:
    title: str
    note: str

    @property
    def height(self) -> float:
        return height_of(HEADING) + 0.06

    def draw(self, page: Page, top: float) -> None:
        page.write(MARGIN, top, [self.title], HEADING, weight="bold")
        beside = MARGIN + width_of(self.title, HEADING, weight="bold") + 0.12
        page.write(beside, top + (HEADING - SMALL) / 72, [self.note], SMALL, color=SOFT)


def _legend(page: Page, top: float, names: Sequence[str]) -> None:
    legend = {f"best box of {name}": legend_line(colour, 1.8) for name, colour in zip(names, COLOURS, strict=False)}
    legend["annotated box"] = legend_line(**ANNOTATED_STYLE)
    page.figure.legend(list[Any](legend.values()), list(legend), loc="upper left",
                       bbox_to_anchor=page.place(MARGIN, top), ncols=len(legend), frameon=False, fontsize=SMALL,
                       borderpad=0, borderaxespad=0, handlelength=3, columnspacing=1.8)  # fmt: skip
