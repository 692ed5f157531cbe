"""Examples as one HTML file to browse: it filters, sorts and enlarges by itself, and needs nothing beside it."""

from __future__ import annotations

import io
from base64 import b64encode
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from grounding.evaluation.breakdowns import in_order
from grounding.runtime.files import write_text_atomic
from grounding.visualization.drawing import ANNOTATED_COLOUR
from grounding.visualization.example_choice import CORRECT_IOU
from grounding.visualization.example_drawing import COLOURS, note_of
from grounding.visualization.selection import Example, Examples
from grounding.visualization.templates import fill

SIDE = 480  # pixels, at most, of a photograph on the page
QUALITY = 82


@dataclass(frozen=True)
class Card:
    """One example as the page needs it.

    Attributes:
        phrase: as annotated.
        jpeg: data URI of the photograph, at most `SIDE` pixels wide and high.
        width, height: of the original image in pixels.
        annotated: (x, y, width, height) of the annotated box in pixels of the original image.
        boxes: the same of each method's best box, with its colour.
        notes: method -> "IoU 0.91, score 0.80".
        iou, score, words: to sort by.
        right: whether the method's IoU is at least 0.5.
        groups: axis -> kinds.
    """

    phrase: str
    jpeg: str
    width: int
    height: int
    annotated: tuple[float, ...]
    boxes: tuple[tuple[str, tuple[float, ...]], ...]
    notes: dict[str, str]
    iou: float
    score: float
    words: int
    right: bool
    groups: dict[str, tuple[str, ...]]


def write_example_page(
    examples: Examples, read: Callable[[int], np.ndarray], path: Path, *, where: str, weights: str
) -> None:
    """Write the page, whole or not at all; an example that stands in several sections is shown once.

    Args:
        examples: at least one.
        read: image id -> (H, W, 3) uint8 RGB.
        path: of the HTML file.
        where: data set and split, for the title.
        weights: which CLIP answered.

    Raises:
        InputError: an image cannot be read.
    """
    once = {example[0]["sent_id"]: example for section in examples.sections for example in section.examples}
    cards = [
        _card(example, examples.names, read(example[0]["image_id"]))
        for example in tqdm(once.values(), desc="page", unit="example", disable=None)
    ]
    text = fill(
        "gallery.html",
        examples=examples,
        title=examples.title(where, len(cards)),
        weights=weights,
        cards=cards,
        filters=_filters(cards),
        colours=dict(zip(examples.names, COLOURS, strict=False)),
        annotated_colour=ANNOTATED_COLOUR,
        correct_iou=CORRECT_IOU,
    )
    write_text_atomic(path, text)


def _card(example: Example, names: tuple[str, ...], image: np.ndarray) -> Card:
    first = example[0]
    height, width = image.shape[:2]
    return Card(
        phrase=first["phrase"],
        jpeg=_jpeg(image),
        width=width,
        height=height,
        annotated=_svg_box(first["annotated_xyxy"]),
        boxes=tuple((colour, _svg_box(row["boxes_xyxy"][0])) for row, colour in zip(example, COLOURS, strict=False)),
        notes={name: note_of(row) for name, row in zip(names, example, strict=True)},
        iou=first["iou"],
        score=first["scores"][0],
        words=len(first["phrase"].split()),
        right=first["iou"] >= CORRECT_IOU,
        groups=first["groups"],
    )


def _jpeg(image: np.ndarray) -> str:
    photograph = Image.fromarray(image)
    photograph.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    photograph.save(file, "JPEG", quality=QUALITY)
    return f"data:image/jpeg;base64,{b64encode(file.getvalue()).decode('ascii')}"


def _svg_box(box_xyxy: tuple[float, ...]) -> tuple[float, ...]:
    x1, y1, x2, y2 = (round(float(value), 1) for value in box_xyxy)
    return x1, y1, round(x2 - x1, 1), round(y2 - y1, 1)


def _filters(cards: list[Card]) -> dict[str, list[tuple[str, int]]]:
    """Axis -> its kinds with the number of cards, where there is something to choose."""
    counted: dict[str, Counter[str]] = {}
    for card in cards:
        for axis, kinds in card.groups.items():
            counted.setdefault(axis, Counter()).update(kinds)
    return {
        axis: sorted(kinds.items(), key=lambda each: in_order(each[0]))
        for axis, kinds in counted.items()
        if min(kinds.values()) < len(cards)
    }
