"""Rows of examples in a picture, measured in inches: photographs with boxes, each over its phrase."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from grounding.visualization.drawing import ANNOTATED_STYLE, BOX_COLOUR, INK, draw_boxes, show_image
from grounding.visualization.example_choice import Row
from grounding.visualization.fitted_text import fitted, height_of, width_of
from grounding.visualization.selection import Example

DPI = 150
COLUMNS = 4
# Inches.
ROOM, TALLEST = 10.6, 2.6  # width of a row, and at most the height of the photographs in it
NARROWEST = 1.2  # of a panel: phrases need the width
GAP, MARGIN, ABOVE_PHRASE, BELOW = 0.22, 0.25, 0.06, 0.2
# Points.
PHRASE, SMALL = 9.0, 8.5
PHRASE_LINES, NOTE_LINES = 4, 2
SOFT = "#5B6470"
COLOURS = (BOX_COLOUR, "#E69F00")  # of the method and of its rival


@dataclass(frozen=True)
class Page:
    """A figure measured in inches from its upper left corner."""

    figure: Figure

    def place(self, x: float, y: float) -> tuple[float, float]:
        """As matplotlib counts: shares of the figure from its lower left corner."""
        width, height = self.figure.get_size_inches()
        return x / width, 1 - y / height

    def write(self, x: float, y: float, lines: Sequence[str], size: float, **style: Any) -> None:
        """Lines of text, the first one's top at y."""
        for index, line in enumerate(lines):
            place = self.place(x, y + height_of(size) * index)
            self.figure.text(*place, line, fontsize=size, va="top", parse_math=False, **{"color": INK, **style})


@dataclass(frozen=True)
class _Panel:
    """One example: its photograph at the size in which it is drawn, boxes in pixels of it, and what stands below."""

    width: float
    image: np.ndarray
    annotated_xyxy: np.ndarray
    boxes_xyxy: np.ndarray
    phrase: list[str]
    notes: list[str]

    @classmethod
    def of(cls, example: Example, notes: list[str], photograph: np.ndarray, high: float, least: float) -> _Panel:
        height, width = photograph.shape[:2]
        size = (max(1, round(DPI * high * width / height)), max(1, round(DPI * high)))
        stretch = np.array([size[0] / width, size[1] / height] * 2)
        room = max(size[0] / DPI, least)
        return cls(
            room,
            np.asarray(Image.fromarray(photograph).resize(size, Image.Resampling.LANCZOS)),
            np.array(example[0]["annotated_xyxy"]) * stretch,
            np.array([answer["boxes_xyxy"][0] for answer in example]) * stretch,
            fitted(f"“{example[0]['phrase']}”", room, PHRASE, PHRASE_LINES),
            [line for note in notes for line in fitted(note, room, SMALL, NOTE_LINES)],
        )


@dataclass(frozen=True)
class ExampleRow:
    """A row of examples, their photographs of one height (inches) so that a full row is as wide as the others."""

    high: float
    panels: list[_Panel]

    @classmethod
    def of(
        cls, examples: Sequence[Example], names: Sequence[str], read: Callable[[int], np.ndarray], tallest: float
    ) -> ExampleRow:
        """A row of 1 to `COLUMNS` examples.

        Args:
            examples: each with an answer per name.
            names: the method, and the rival where there is one.
            read: image id -> (H, W, 3) uint8 RGB.
            tallest: inches that photographs may be high.
        """
        photographs = [read(example[0]["image_id"]) for example in examples]
        notes = [[note_of(answer, name if len(names) > 1 else "") for name, answer in zip(names, example, strict=True)]
                 for example in examples]  # fmt: skip
        longest = max(width_of(note, SMALL) for of_example in notes for note in of_example)
        least = min(max(longest, NARROWEST), ROOM / COLUMNS - GAP)
        high = _common_height([each.shape[1] / each.shape[0] for each in photographs], least, tallest)
        panels = [_Panel.of(*each, high, least) for each in zip(examples, notes, photographs, strict=True)]
        return cls(high, panels)

    @property
    def height(self) -> float:
        """Inches with the text and the space below."""
        text = max(height_of(PHRASE, each.phrase) + height_of(SMALL, each.notes) for each in self.panels)
        return self.high + ABOVE_PHRASE + text + BELOW

    def draw(self, page: Page, top: float) -> None:
        """The row on a page, photographs from `top` on."""
        left, bottom = MARGIN, top + self.high
        for panel in self.panels:
            (x1, y1), (x2, y2) = page.place(left, bottom), page.place(left + panel.image.shape[1] / DPI, top)
            axis = page.figure.add_axes((x1, y1, x2 - x1, y2 - y1))
            show_image(axis, panel.image)
            axis.set_aspect("auto")
            for box, colour in zip(panel.boxes_xyxy, COLOURS, strict=False):
                draw_boxes(axis, box[None], colour=colour)
            draw_boxes(axis, panel.annotated_xyxy[None], **ANNOTATED_STYLE)
            page.write(left, bottom + ABOVE_PHRASE, panel.phrase, PHRASE)
            page.write(left, bottom + ABOVE_PHRASE + height_of(PHRASE, panel.phrase), panel.notes, SMALL, color=SOFT)
            left += panel.width + GAP


def _common_height(shapes: Sequence[float], least: float, tallest: float) -> float:
    """The height at which photographs, of these widths per height, fill a row; none takes less than `least` inches."""
    room = ROOM - GAP * (len(shapes) - 1)
    low, high = 0.0, tallest
    for _ in range(20):  # a millionth of the range
        middle = (low + high) / 2
        fits = sum(max(middle * shape, least) for shape in shapes) <= room
        low, high = (middle, high) if fits else (low, middle)
    return low


def note_of(answer: Row, name: str = "") -> str:
    """How good an answer is and how sure the method was: "IoU 0.91, score 0.80", after the name where one is given."""
    return f"{name}: " * bool(name) + f"IoU {answer['iou']:.2f}, score {answer['scores'][0]:.2f}"
