"""What methods answer as figures: image, maps and boxes of one method, or several methods side by side."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from grounding.extraction import ExtractionConfig
from grounding.geometry import box_iou
from grounding.methods.dense import DenseGrounder
from grounding.methods.gradcam import GradCAMGrounder
from grounding.methods.grounder import EncodingGrounder
from grounding.runtime.errors import writable
from grounding.types import Example, Grounding
from grounding.visualization.drawing import (
    ANNOTATED_STYLE,
    BOX_COLOUR,
    COLOUR_MAP,
    INK,
    draw_boxes,
    heatmap_overlay,
    keep_labels_inside,
    legend_line,
    letters_across,
    show_image,
)

BOXES = 5  # drawn at most; the best one alone in full strength
SHARE_OF_BEST = 0.5  # further boxes with less of the best one's score would only clutter the picture
PANEL, AROUND = 2.8, 0.6  # inches: a panel's width, and what its heading, its notes and the gap below it take
TALLEST, FLATTEST = 1.6, 0.45  # of a panel: height over width
TITLE, HEADING, SMALL = 11.0, 10.0, 8.5  # points
LEADING = 1.35  # of a line, in font sizes


@dataclass(frozen=True, eq=False)
class MethodAnswer:
    """What the method of a name answers to one expression."""

    method: str
    grounding: Grounding
    similarity: np.ndarray | None  # (H, W) float32: CLIP's own cosines, with which only some methods begin
    extraction: ExtractionConfig | None  # how boxes were made from the heatmap, where they were
    annotated_xyxy: np.ndarray | None  # (4,) in pixels of the image; None where nobody knows the box


Panel = tuple[MethodAnswer, str, Callable[[Axes, MethodAnswer], None]]  # of what, its heading, and what draws it


def answers(grounder: EncodingGrounder, example: Example) -> list[MethodAnswer]:
    """The method's answers to all expressions of one image, which is encoded once."""
    known = [None if np.isnan(box).any() else box for box in example.boxes_xyxy]
    encoded = grounder.encode(example.image)
    maps: Sequence[np.ndarray | None] = [None] * len(known)
    if isinstance(grounder, DenseGrounder) and not isinstance(grounder, GradCAMGrounder):
        maps = grounder.similarity_maps(encoded, example.phrases)
    extraction = grounder.extraction if isinstance(grounder, DenseGrounder) else None
    return [
        MethodAnswer(grounder.name, grounding, similarity, extraction, box)
        for grounding, similarity, box in zip(grounder.ground(encoded, example.phrases), maps, known, strict=True)
    ]


def draw_figure(answers: Sequence[MethodAnswer], *, title: str) -> Figure:
    """A row per answer, all of one method: image, similarity map, heatmap with lines where it is cut, boxes."""
    panels = {"image": _image, "CLIP's similarity map": _similarity, "heatmap": _heatmap, "boxes": _boxes}
    if answers[0].similarity is None:
        del panels["CLIP's similarity map"]
    return _draw([[(answer, heading, draw) for heading, draw in panels.items()] for answer in answers], title)


def draw_comparison(answers: Sequence[Sequence[MethodAnswer]], *, title: str) -> Figure:
    """A row per phrase, a column per method: heatmap, best box with its score, and the IoU where it is known."""
    best = partial(_boxes, most=1)
    return _draw([[(answer, answer.method, best) for answer in of_phrase] for of_phrase in answers], title)


def contour_levels(heatmap: np.ndarray, extraction: ExtractionConfig) -> list[float]:
    """The heat at which the extraction cuts the heatmap; none where it does not cut it at fixed levels."""
    peak = float(heatmap.max())
    if extraction.method == "components":
        return [max(extraction.relative * peak, extraction.absolute)]
    if extraction.method == "multi_threshold":
        return sorted({level * peak for level in extraction.levels})
    return [extraction.offset * peak] if extraction.method == "rectangle" else []


def _draw(rows: Sequence[Sequence[Panel]], title: str) -> Figure:
    """Rows of equally many panels, each row under its phrase, all under one title and above a legend."""
    columns = len(rows[0])
    width = columns * PANEL
    said = _wrapped(title, width, TITLE)
    phrases = [_wrapped(f'"{row[0][0].grounding.phrase}"', width, HEADING) for row in rows]
    heights = []
    for row, phrase in zip(rows, phrases, strict=True):
        shape = max(np.divide(*answer.grounding.image.shape[:2]) for answer, *_ in row)
        heights.append(PANEL * min(max(shape, FLATTEST), TALLEST) + AROUND + _inches(phrase, HEADING))
    figure = Figure((width, sum(heights) + _inches(said, TITLE) + 2 * _inches("legend", SMALL)), layout="constrained")
    figure.suptitle(said, x=0.01, ha="left", fontsize=TITLE, weight="bold", color=INK)
    parts = figure.subfigures(len(rows), 1, height_ratios=heights, squeeze=False)[:, 0]
    for part, row, phrase in zip(parts, rows, phrases, strict=True):
        part.suptitle(phrase, x=0.01, ha="left", fontsize=HEADING, weight="bold", color=INK)
        for axis, (answer, heading, draw) in zip(part.subplots(1, columns, squeeze=False)[0], row, strict=True):
            draw(axis, answer)
            axis.set_title(heading, fontsize=9, pad=4)
            axis.set_anchor("N")
    legend: dict[str, Any] = {"best box, with its score": legend_line(BOX_COLOUR, 1.8)}
    if any(answer.annotated_xyxy is not None for row in rows for answer, *_ in row):
        legend["annotated box"] = legend_line(**ANNOTATED_STYLE)
    figure.legend(list(legend.values()), list(legend), loc="outside lower left", ncols=min(columns, 2), frameon=False,
                  fontsize=SMALL, handlelength=3)  # fmt: skip
    keep_labels_inside(figure)
    return figure


def _wrapped(text: str, width: float, size: float) -> str:
    """The text in lines that a width in inches holds in bold letters of a size in points."""
    return textwrap.fill(writable(text), letters_across(width, size))


def _inches(text: str, size: float) -> float:
    """Height of all lines of a text."""
    return (text.count("\n") + 1) * LEADING * size / 72


def _map(axis: Axes, values: np.ndarray, *, low: float, high: float, form: str) -> None:
    """A map (H, W) in colours, with a bar below it that says what they mean."""
    show_image(axis, values, cmap=COLOUR_MAP, vmin=low, vmax=high)
    bar = axis.inset_axes((0.2, -0.065, 0.6, 0.035))
    bar.imshow(np.linspace(0, 1, 256)[None], cmap=COLOUR_MAP, aspect="auto", extent=(0, 1, 0, 1))
    bar.axis("off")
    for x, align, value in ((-0.02, "right", low), (1.02, "left", high)):
        bar.text(x, 0.5, f"{value:{form}}", transform=bar.transAxes, ha=align, va="center", fontsize=8, color="#444444")


def _similarity(axis: Axes, answer: MethodAnswer) -> None:
    cosines = answer.similarity
    assert cosines is not None
    _map(axis, cosines, low=float(cosines.min()), high=float(cosines.max()), form=".2f")


def _heatmap(axis: Axes, answer: MethodAnswer) -> None:
    heatmap = answer.grounding.heatmap
    _map(axis, heatmap, low=0, high=1, form="g")
    levels = contour_levels(heatmap, answer.extraction) if answer.extraction else []
    crossed = [level for level in levels if heatmap.min() < level <= heatmap.max()]
    if not crossed or min(heatmap.shape) < 2:
        return
    grid = [np.arange(side) + 0.5 for side in heatmap.shape[::-1]]  # a pixel's value stands at its centre
    for colour, linewidth in ((INK, 2.6), ("#FFFFFF", 1.1)):
        axis.contour(*grid, heatmap, levels=crossed, colors=colour, linewidths=linewidth)


def _image(axis: Axes, answer: MethodAnswer) -> None:
    show_image(axis, answer.grounding.image)
    if answer.annotated_xyxy is not None:
        draw_boxes(axis, answer.annotated_xyxy[None], **ANNOTATED_STYLE)


def _boxes(axis: Axes, answer: MethodAnswer, *, most: int = BOXES) -> None:
    """Boxes over the heatmap, and below how well the best one fits the annotated one, where that is known."""
    grounding, annotated = answer.grounding, answer.annotated_xyxy
    show_image(axis, heatmap_overlay(grounding.image, grounding.heatmap))
    further = [index for index in range(1, min(len(grounding.scores), most))
               if grounding.scores[index] >= SHARE_OF_BEST * grounding.scores[0]]  # fmt: skip
    for index in reversed(further):
        draw_boxes(axis, grounding.boxes_xyxy[[index]], [f"{grounding.scores[index]:.2f}"], linewidth=1,
                   linestyle=(0, (3, 2)), fontsize=6.5)  # fmt: skip
    draw_boxes(axis, grounding.boxes_xyxy[:1], [f"{grounding.scores[0]:.2f}"])
    if annotated is not None:
        draw_boxes(axis, annotated[None], **ANNOTATED_STYLE)
        iou = box_iou(grounding.boxes_xyxy[:1], annotated[None])[0, 0]
        axis.text(0.5, -0.03, f"IoU {iou:.2f}", transform=axis.transAxes, ha="center", va="top", fontsize=SMALL)
