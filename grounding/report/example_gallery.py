"""Examples as one picture for a paper or a slide: photographs with boxes, each over its phrase, in rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from PIL import Image
from tqdm import tqdm

from grounding.drawing import ANNOTATED_COLOUR, BOX_COLOUR, INK, draw_boxes, rim, show_image
from grounding.errors import InputError
from grounding.report.choices import Row
from grounding.report.examples import Example, Examples
from grounding.report.fitted_text import fitted, height_of, width_of

DPI = 150
COLUMNS = 4
# Inches.
ROOM, TALLEST = 10.6, 2.6  # width of a row, and at most the height of the photographs in it
NARROWEST = 1.2  # of a panel: phrases need the width
GAP, MARGIN, BELOW, ABOVE_LEGEND = 0.22, 0.25, 0.2, 0.06
MOST_HEIGHT = 400.0  # a PNG of twice the height could not be written
# Points.
TITLE, HEADING, PHRASE, SMALL = 13.0, 11.0, 9.0, 8.5
TITLE_LINES, EXPLANATION_LINES, PHRASE_LINES, NOTE_LINES = 2, 6, 4, 2
SOFT, GROUND = "#5B6470", "#8A9099"
COLOURS = (BOX_COLOUR, "#E69F00")  # of the method and of its rival
# Dashes over the answer's line: where both coincide, as in the best answers, each is seen.
ANNOTATED: dict[str, Any] = {"colour": ANNOTATED_COLOUR, "linewidth": 1.6, "linestyle": (0, (3, 3))}


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
        bands: list[_Heading | _Panels] = []
        for section in examples.sections:
            if section.title:
                bands.append(_Heading(section.title, section.note))
            for start in range(0, len(section.examples), COLUMNS):
                part = section.examples[start : start + COLUMNS]
                bands.append(_Panels.of(part, examples.names, read))
                bar.update(len(part))
    height = 2 * MARGIN + head + sum(band.height for band in bands) - BELOW
    figure = Figure(figsize=(ROOM + 2 * MARGIN, height), dpi=DPI)
    page = _Page(figure)
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
class _Page:
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
class _Heading:
    title: str
    note: str

    @property
    def height(self) -> float:
        return height_of(HEADING) + 0.06

    def draw(self, page: _Page, top: float) -> None:
        page.write(MARGIN, top, [self.title], HEADING, weight="bold")
        beside = MARGIN + width_of(self.title, HEADING, weight="bold") + 0.12
        page.write(beside, top + (HEADING - SMALL) / 72, [self.note], SMALL, color=SOFT)


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
class _Panels:
    """A row of examples, their photographs of one height so that a full row is as wide as the others."""

    high: float
    panels: list[_Panel]

    @classmethod
    def of(cls, examples: Sequence[Example], names: Sequence[str], read: Callable[[int], np.ndarray]) -> _Panels:
        photographs = [read(example[0]["image_id"]) for example in examples]
        notes = [[note_of(answer, name if len(names) > 1 else "") for name, answer in zip(names, example, strict=True)]
                 for example in examples]  # fmt: skip
        longest = max(width_of(note, SMALL) for of_example in notes for note in of_example)
        least = min(max(longest, NARROWEST), ROOM / COLUMNS - GAP)
        high = _common_height([each.shape[1] / each.shape[0] for each in photographs], least)
        panels = [_Panel.of(*each, high, least) for each in zip(examples, notes, photographs, strict=True)]
        return cls(high, panels)

    @property
    def height(self) -> float:
        text = max(height_of(PHRASE, each.phrase) + height_of(SMALL, each.notes) for each in self.panels)
        return self.high + 0.06 + text + BELOW

    def draw(self, page: _Page, top: float) -> None:
        left, bottom = MARGIN, top + self.high
        for panel in self.panels:
            (x1, y1), (x2, y2) = page.place(left, bottom), page.place(left + panel.image.shape[1] / DPI, top)
            axis = page.figure.add_axes((x1, y1, x2 - x1, y2 - y1))
            show_image(axis, panel.image)
            axis.set_aspect("auto")
            for box, colour in zip(panel.boxes_xyxy, COLOURS, strict=False):
                draw_boxes(axis, box[None], colour=colour)
            draw_boxes(axis, panel.annotated_xyxy[None], **ANNOTATED)
            page.write(left, bottom + 0.06, panel.phrase, PHRASE)
            page.write(left, bottom + 0.06 + height_of(PHRASE, panel.phrase), panel.notes, SMALL, color=SOFT)
            left += panel.width + GAP


def _common_height(shapes: Sequence[float], least: float) -> float:
    """The height at which photographs, of these widths per height, fill a row; none takes less than `least` inches."""
    room = ROOM - GAP * (len(shapes) - 1)
    low, high = 0.0, TALLEST
    for _ in range(20):  # a millionth of the range
        middle = (low + high) / 2
        fits = sum(max(middle * shape, least) for shape in shapes) <= room
        low, high = (middle, high) if fits else (low, middle)
    return low


def note_of(answer: Row, name: str = "") -> str:
    """How good an answer is and how sure the method was: "IoU 0.91, score 0.80", after the name where one is given."""
    return f"{name}: " * bool(name) + f"IoU {answer['iou']:.2f}, score {answer['scores'][0]:.2f}"


def _legend(page: _Page, top: float, names: Sequence[str]) -> None:
    styles: dict[str, dict[str, Any]] = {
        f"best box of {name}": {"color": colour, "linewidth": 1.8} for name, colour in zip(names, COLOURS, strict=False)
    }
    styles["annotated box"] = {
        "color": ANNOTATED["colour"], "linewidth": ANNOTATED["linewidth"], "linestyle": ANNOTATED["linestyle"]
    }  # fmt: skip
    # White would not be seen on white.
    ground = Line2D([], [], color=GROUND, linewidth=9, solid_capstyle="butt")
    handles: list[Any] = [
        (ground, Line2D([], [], path_effects=rim(style["linewidth"]), **style)) for style in styles.values()
    ]
    page.figure.legend(handles, list(styles), loc="upper left", bbox_to_anchor=page.place(MARGIN, top),
                       ncols=len(styles), frameon=False, fontsize=SMALL, borderpad=0, borderaxespad=0, handlelength=3,
                       columnspacing=1.8)  # fmt: skip
