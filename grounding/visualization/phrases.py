"""The answers to several phrases in one picture: a colour for each phrase, which its labels name."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from textwrap import fill

import numpy as np
from matplotlib.axes import Axes

from grounding.geometry import Letterbox, box_iou
from grounding.methods.stream import GroundedPhrase
from grounding.types import Grounding
from grounding.visualization.drawing import (
    DASHES,
    DPI,
    INK,
    PHRASE_COLOURS,
    clear_figure,
    draw_boxes,
    keep_labels_inside,
    letters_across,
    save_figure,
    show_image,
)

LEAST_SIDE = 480  # pixels of the longer side of a saved picture: below, its labels would be coarse
LABEL_LENGTH = 26  # letters of a phrase, unless there is room for more
LABEL_SIZE, WARNING_SIZE = 8, 7  # points
ALIKE = 0.8  # boxes that overlap more are drawn so that both colours are seen


def draw_phrases(axis: Axes, answers: Iterable[Grounding | GroundedPhrase]) -> None:
    """The boxes that are the answers on an axis of a `clear_figure`, each labelled with its score, the best one with
    its phrase too; of equal boxes the later one is dashed, over the other."""
    drawn = np.zeros((0, 4), dtype=np.float32)
    wide = letters_across(axis.get_window_extent().width / axis.figure.dpi, LABEL_SIZE) // 2
    for number, answer in enumerate(answers):
        colour = PHRASE_COLOURS[number % len(PHRASE_COLOURS)]
        for index in answer.found:
            box = answer.boxes_xyxy[[index]]
            hidden = bool(len(drawn)) and float(box_iou(box, drawn).max()) > ALIKE
            phrase = f"{shortened(answer.phrase, 2 * wide)} " if index == answer.found[0] else ""
            label = fill(f"{phrase}{answer.scores[index]:.2f}", wide)
            draw_boxes(axis, box, [label], colour=colour, linestyle=DASHES if hidden else "-", fontsize=LABEL_SIZE)
            drawn = np.concatenate([drawn, box])


def shortened(phrase: str, length: int = LABEL_LENGTH) -> str:
    """The phrase, cut to so many letters with an ellipsis where it is longer."""
    return phrase if len(phrase) <= length else f"{phrase[: length - 1].rstrip()}…"


def save_phrases(
    image: np.ndarray, answers: Iterable[Grounding | GroundedPhrase], path: Path, warning: str = ""
) -> None:
    """Write a picture of the answers to several phrases about one image (H, W, 3) uint8 RGB, a warning at its foot; a
    small one is enlarged, and the suffix says the format."""
    height, width = image.shape[:2]
    side = max(height, width, LEAST_SIDE)
    size = Letterbox.fit((width, height), side).content_size
    figure, axis = clear_figure(size, dpi=DPI * side / LEAST_SIDE)  # lines and letters grow with the picture
    show_image(axis, image)
    axis.set_aspect("auto")
    draw_phrases(axis, answers)
    if warning:
        plate = {"boxstyle": "square,pad=0.3", "facecolor": "#FFFFFF", "edgecolor": "none", "alpha": 0.85}
        lines = fill(warning, letters_across(figure.bbox_inches.width, WARNING_SIZE))
        axis.text(0.01, 0.01, lines, transform=axis.transAxes, fontsize=WARNING_SIZE, color=INK, va="bottom",
                  bbox=plate, zorder=5, parse_math=False)  # fmt: skip
    keep_labels_inside(figure)
    save_figure(figure, path)
