"""Examples as pictures: an image with the annotated box and each method's best one, alone or many in a figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
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
from grounding.visualization.layout import PANEL, FigurePanel, FigureRow, draw_rows
from grounding.visualization.selection import AnswerRow, ExampleSelection, ShownExample

DPI = 150
COLUMNS = 4
LINE_WIDTH = 1.8  # points, of a method's box
MOST_EXAMPLES = 500  # a PNG of rows for twice as many could not be written


def draw_example(
    example: ShownExample, colours: Mapping[str, str], *, width: int, height: int, dpi: float
) -> np.ndarray:
    """An example's image with the annotated box, dashed and over the others, and each method's best box.

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
    if total > MOST_EXAMPLES:
        raise InputError(f"a picture of {total} examples would be too tall: give a smaller --count")
    rows = []
    with tqdm(total=total, desc="picture", unit="example", disable=None) as bar:
        for section in selection.sections:
            for start in range(0, len(section.examples), COLUMNS):
                part = section.examples[start : start + COLUMNS]
                heading = (section.title, section.note) if start == 0 else ("", "")
                rows.append(FigureRow([_panel(example, colours) for example in part], *heading))
                bar.update(len(part))
    legend = {f"best box of {name}": legend_line(colours[name], LINE_WIDTH) for name in selection.names}
    legend["annotated box"] = legend_line(**ANNOTATED_STYLE)
    figure = draw_rows(
        rows, title=selection.title(where, total), explanation=selection.explanation, legend=legend, tallest=1
    )
    figure.set_dpi(DPI)
    return figure


def _panel(example: ShownExample, colours: Mapping[str, str]) -> FigurePanel:
    picture = draw_example(example, colours, width=round(PANEL * DPI), height=round(PANEL * DPI), dpi=DPI)
    height, width = picture.shape[:2]
    notes = [f"{name}: " * (len(example) > 1) + note_of(answer) for name, answer in example.items()]
    phrase = next(iter(example.values()))["phrase"]
    return FigurePanel((width, height), partial(show_image, image=picture), phrase=f"“{phrase}”", notes=notes)
