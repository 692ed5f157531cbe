"""Examples as pictures: a photograph with the annotated box and each method's best one, alone or many in a figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from PIL import Image
from tqdm import tqdm

from grounding.data.images import read_image
from grounding.errors import InputError
from grounding.visualization.drawing import (
    ANNOTATED_STYLE,
    RIM,
    clear_figure,
    draw_boxes,
    laid_over,
    legend_line,
    show_image,
)
from grounding.visualization.example_choice import AnswerRow
from grounding.visualization.layout import InchFigure, fitted, height_of, width_of
from grounding.visualization.selection import ExampleSelection, ShownExample

DPI = 150
COLUMNS = 4
LINE_WIDTH = 1.8  # points, of a method's box
# Inches.
CELL, TALLEST = 2.5, 2.5  # at most, of a photograph
GAP, MARGIN, ABOVE_PHRASE, BELOW = 0.2, 0.25, 0.06, 0.2
ROOM = COLUMNS * CELL + (COLUMNS - 1) * GAP
MOST_HEIGHT = 400.0  # a PNG of twice the height could not be written
# Points.
TITLE, HEADING, PHRASE, SMALL = 13.0, 11.0, 9.0, 8.5
TITLE_LINES, EXPLANATION_LINES, PHRASE_LINES, NOTE_LINES = 2, 6, 4, 2
SOFT = "#5B6470"


def draw_example(
    example: ShownExample, colours: Mapping[str, str], *, width: int, height: int, dpi: float
) -> np.ndarray:
    """An example's photograph with the annotated box, dashed and over the others, and each method's best box.

    Args:
        example: method -> its answer, whose "image_path" is read.
        colours: method -> "#RRGGBB".
        width, height: pixels that the picture may be wide and high; a small photograph is enlarged.
        dpi: how many of them are an inch for the lines' widths.

    Returns:
        (H, W, 3) uint8 RGB. Boxes that stick out of the photograph end at its border, within it.

    Raises:
        InputError: the image cannot be read.
    """
    asked = next(iter(example.values()))
    image = Image.fromarray(read_image(asked["image_path"]))
    scale = min(width / image.width, height / image.height)
    size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    stretch = np.array([size[0] / image.width, size[1] / image.height] * 2)
    figure, axis = clear_figure(size, dpi=dpi)

    def outline(box_xyxy: Sequence[float], **style: Any) -> None:
        inset = (LINE_WIDTH + RIM) / 2 * dpi / 72  # a line along the border is seen whole
        box = np.clip(np.array(box_xyxy) * stretch, inset, np.array([*size, *size]) - inset)
        draw_boxes(axis, box[None], **style)

    for name, answer in example.items():
        outline(answer["boxes_xyxy"][0], colour=colours[name], linewidth=LINE_WIDTH)
    outline(asked["annotated_xyxy"], **ANNOTATED_STYLE)
    return laid_over(np.asarray(image.resize(size, Image.Resampling.LANCZOS)), figure)


def note_of(answer: AnswerRow) -> str:
    """How good an answer is and how sure the method was: "IoU 0.91, score 0.80"."""
    return f"IoU {answer['iou']:.2f}, score {answer['scores'][0]:.2f}"


@dataclass(frozen=True)
class _Cell:
    """One example of the figure: its picture, and the lines below it."""

    picture: np.ndarray
    phrase: list[str]
    notes: list[str]

    @property
    def height(self) -> float:
        text = height_of(PHRASE, self.phrase) + height_of(SMALL, self.notes)
        return self.picture.shape[0] / DPI + ABOVE_PHRASE + text + BELOW


def draw_gallery(selection: ExampleSelection, colours: Mapping[str, str], *, where: str) -> Figure:
    """A figure of all examples for a paper or a slide, to be saved at `DPI`: how they were chosen, and what is what.

    Args:
        selection: at least one example.
        colours: method -> "#RRGGBB".
        where: data set and split, for the title.

    Raises:
        InputError: an image cannot be read, or there are more examples than a picture holds.
    """
    total = sum(len(section.examples) for section in selection.sections)
    if total / COLUMNS * TALLEST > MOST_HEIGHT:
        raise InputError(f"a picture of {total} examples would be too tall: give a smaller --count")
    title = fitted(selection.title(where, total), ROOM, TITLE, TITLE_LINES, weight="bold")
    explanation = fitted(selection.explanation, ROOM, SMALL, EXPLANATION_LINES)
    below_title = MARGIN + height_of(TITLE, title) + 0.05
    above_legend = below_title + height_of(SMALL, explanation) + 0.06
    head = above_legend + height_of(SMALL) + BELOW
    bands: list[tuple[str, str] | list[_Cell]] = []
    with tqdm(total=total, desc="picture", unit="example", disable=None) as bar:
        for section in selection.sections:
            if section.title:
                bands.append((section.title, section.note))
            for start in range(0, len(section.examples), COLUMNS):
                part = section.examples[start : start + COLUMNS]
                bands.append([_cell(example, colours) for example in part])
                bar.update(len(part))
    page = InchFigure(Figure(figsize=(ROOM + 2 * MARGIN, head + sum(map(_height, bands)) + MARGIN), dpi=DPI))
    page.write(MARGIN, MARGIN, title, TITLE, weight="bold")
    page.write(MARGIN, below_title, explanation, SMALL, color=SOFT)
    legend = {f"best box of {name}": legend_line(colours[name], LINE_WIDTH) for name in selection.names}
    legend["annotated box"] = legend_line(**ANNOTATED_STYLE)
    page.figure.legend(list[Any](legend.values()), list(legend), loc="upper left",
                       bbox_to_anchor=page.place(MARGIN, above_legend), ncols=len(legend), frameon=False,
                       fontsize=SMALL, borderpad=0, borderaxespad=0, handlelength=3, columnspacing=1.8)  # fmt: skip
    top = head
    for band in bands:
        if isinstance(band, tuple):
            heading, note = band
            page.write(MARGIN, top, [heading], HEADING, weight="bold")
            beside = MARGIN + width_of(heading, HEADING, weight="bold") + 0.12
            page.write(beside, top + (HEADING - SMALL) / 72, [note], SMALL, color=SOFT)
        else:
            for column, cell in enumerate(band):
                _draw_cell(page, cell, MARGIN + column * (CELL + GAP), top)
        top += _height(band)
    return page.figure


def _cell(example: ShownExample, colours: Mapping[str, str]) -> _Cell:
    phrase = next(iter(example.values()))["phrase"]
    notes = [f"{name}: " * (len(example) > 1) + note_of(answer) for name, answer in example.items()]
    return _Cell(
        draw_example(example, colours, width=round(CELL * DPI), height=round(TALLEST * DPI), dpi=DPI),
        fitted(f"“{phrase}”", CELL, PHRASE, PHRASE_LINES),
        [line for note in notes for line in fitted(note, CELL, SMALL, NOTE_LINES)],
    )


def _height(band: tuple[str, str] | list[_Cell]) -> float:
    return height_of(HEADING) + 0.06 if isinstance(band, tuple) else max(cell.height for cell in band)


def _draw_cell(page: InchFigure, cell: _Cell, left: float, top: float) -> None:
    height, width = (side / DPI for side in cell.picture.shape[:2])
    axis = page.axis(left, top, width, height)
    show_image(axis, cell.picture)
    axis.set_aspect("auto")
    below = top + height + ABOVE_PHRASE
    page.write(left, below, cell.phrase, PHRASE)
    page.write(left, below + height_of(PHRASE, cell.phrase), cell.notes, SMALL, color=SOFT)
