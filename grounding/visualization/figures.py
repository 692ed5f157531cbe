"""What methods answer as figures: image, maps and boxes, methods side by side, how a heatmap turns into boxes."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import cv2
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from grounding.extraction import ExtractionConfig
from grounding.extraction.components import candidate_regions, kept_pixels
from grounding.extraction.grabcut import LIKELY
from grounding.extraction.quality import candidate_boxes
from grounding.geometry import box_iou
from grounding.methods.dense import DenseGrounder
from grounding.methods.gradcam import GradCAMGrounder
from grounding.methods.grounder import Grounder
from grounding.types import Example, Grounding
from grounding.visualization.drawing import (
    ANNOTATED_STYLE,
    BOX_COLOUR,
    COLOUR_MAP,
    INK,
    PHRASE_COLOURS,
    draw_boxes,
    heatmap_overlay,
    keep_labels_inside,
    legend_line,
    show_image,
)
from grounding.visualization.layout import FigurePanel, draw_rows

BOXES = 5  # drawn at most; the best one alone in full strength
SHARE_OF_BEST = 0.5  # further boxes with less of the best one's score would only clutter the picture
DIMMED = 0.35


@dataclass(frozen=True, eq=False)
class MethodAnswer:
    """One method's answer to one expression.

    Attributes:
        method: its name.
        grounding: the answer.
        similarity: (H, W) float32, CLIP's own cosines before the decoder; None for methods that do not begin with them.
        extraction: how boxes were made from the heatmap; None where they were not.
        annotated_xyxy: (4,) the annotated box in pixels of the image; None where nobody knows it.
    """

    method: str
    grounding: Grounding
    similarity: np.ndarray | None
    extraction: ExtractionConfig | None
    annotated_xyxy: np.ndarray | None


def answers(grounder: Grounder, example: Example) -> list[MethodAnswer]:
    """The method's answers to all expressions of one image, which is encoded once."""
    known = [None if np.isnan(box).any() else box for box in example.boxes_xyxy]
    maps: Sequence[np.ndarray | None] = [None] * len(known)
    extraction = None
    if isinstance(grounder, DenseGrounder):
        encoded = grounder.encode(example.image)
        groundings = grounder.ground(encoded, example.phrases)
        extraction = grounder.extraction
        if not isinstance(grounder, GradCAMGrounder):
            maps = grounder.similarity_maps(encoded, example.phrases)
    else:
        groundings = grounder.ground(example.image, example.phrases)
    return [
        MethodAnswer(grounder.name, grounding, similarity, extraction, box)
        for grounding, similarity, box in zip(groundings, maps, known, strict=True)
    ]


def draw_figure(answers: Sequence[MethodAnswer], *, title: str) -> Figure:
    """A row per answer: image, similarity map, heatmap with the lines where the extraction cuts it, boxes.

    Args:
        answers: at least one, all of one method.
        title: of the figure.
    """
    rows = [
        [_panel("image", _image, answer), *_maps(answer), _panel("boxes", _boxes, answer, iou=True)]
        for answer in answers
    ]
    return _draw(answers, rows, title)


def draw_comparison(answers: Sequence[Sequence[MethodAnswer]], *, title: str) -> Figure:
    """A row per phrase, a column per method: heatmap, best box with its score, and the IoU where it is known.

    Args:
        answers: per phrase, at least one, the answers of all methods in the same order.
        title: of the figure.
    """
    best = partial(_boxes, most=1)
    rows = [[_panel(answer.method, best, answer, iou=True) for answer in of_phrase] for of_phrase in answers]
    return _draw([of_phrase[0] for of_phrase in answers], rows, title)


def draw_steps(answers: Sequence[MethodAnswer], *, title: str) -> Figure:
    """A row per answer of a method that makes boxes from heatmaps: how it does.

    Args:
        answers: at least one, each with its extraction.
        title: of the figure.
    """
    rows = []
    for answer in answers:
        between = [_panel(heading, draw, answer) for heading, draw in _between(answer)]
        rows.append([*_maps(answer), *between, _panel("boxes", _boxes, answer, iou=True)])
    return _draw(answers, rows, title)


def contour_levels(heatmap: np.ndarray, extraction: ExtractionConfig) -> list[float]:
    """The heat at which the extraction cuts the heatmap; none where it does not cut it at fixed levels."""
    peak = float(heatmap.max())
    if extraction.method == "components":
        return [max(extraction.relative * peak, extraction.absolute)]
    if extraction.method == "multi_threshold":
        return sorted({level * peak for level in extraction.levels})
    return [extraction.offset * peak] if extraction.method == "rectangle" else []


def _draw(answers: Sequence[MethodAnswer], rows: Sequence[Sequence[FigurePanel]], title: str) -> Figure:
    legend = {"best box, with its score": legend_line(BOX_COLOUR, 1.8)}
    if any(answer.annotated_xyxy is not None for answer in answers):
        legend["annotated box"] = legend_line(**ANNOTATED_STYLE)
    headings = [f'"{answer.grounding.phrase}"' for answer in answers]
    figure = draw_rows(list(zip(headings, rows, strict=True)), title=title, legend=legend)
    keep_labels_inside(figure)
    return figure


def _panel(
    heading: str, draw: Callable[[Axes, MethodAnswer], None], answer: MethodAnswer, *, iou: bool = False
) -> FigurePanel:
    """A panel of an answer's image; with `iou` it says how well the best box fits the annotated one, where known."""
    height, width = answer.grounding.image.shape[:2]
    note = ""
    if iou and answer.annotated_xyxy is not None:
        note = f"IoU {box_iou(answer.grounding.boxes_xyxy[:1], answer.annotated_xyxy[None])[0, 0]:.2f}"
    return FigurePanel((width, height), lambda axis: draw(axis, answer), heading, note)


def _maps(answer: MethodAnswer) -> list[FigurePanel]:
    heat = [_panel("heatmap", _heatmap, answer)]
    return heat if answer.similarity is None else [_panel("CLIP's similarity map", _similarity, answer), *heat]


def _between(answer: MethodAnswer) -> list[tuple[str, Callable[[Axes, MethodAnswer], None]]]:
    """The steps from the heatmap to the boxes, which the ways to extract do not share."""
    heatmap, image, extraction = answer.grounding.heatmap, answer.grounding.image, answer.extraction
    assert extraction is not None
    if extraction.method == "components":
        kept = kept_pixels(heatmap, relative_threshold=extraction.relative, absolute_threshold=extraction.absolute)
        level = contour_levels(heatmap, extraction)[0]
        count, regions = cv2.connectedComponents(kept.astype(np.uint8), connectivity=8)
        colours = np.array([to_rgb(colour) for colour in PHRASE_COLOURS]) * 255
        coloured = (0.25 * image + 0.75 * colours[(regions - 1) % len(colours)]).astype(np.uint8)
        return [
            (f"threshold: heat of {level:.2f} or more", _picture(_lit(image, kept))),
            (f"connected components: {count - 1}", _picture(np.where(kept[..., None], coloured, _lit(image, kept)))),
        ]
    if extraction.method == "rectangle":
        evidence = heatmap - extraction.offset * heatmap.max()
        most = float(np.abs(evidence).max()) or 1.0
        return [("evidence for (red) and against (blue)", _picture(evidence, cmap="RdBu_r", vmin=-most, vmax=most))]
    if extraction.method == "grabcut":
        level = heatmap.min() + LIKELY * np.ptp(heatmap)
        return [(f"GrabCut starts where the heat is {level:.2f} or more", _picture(_lit(image, heatmap >= level)))]
    several = extraction.method == "multi_threshold"
    boxes = candidate_regions(heatmap, levels=extraction.levels) if several else candidate_boxes(heatmap)
    return [(f"candidates: {len(boxes)}", _candidates(boxes))]


def _picture(image: np.ndarray, **style: Any) -> Callable[[Axes, MethodAnswer], None]:
    return lambda axis, answer: show_image(axis, image, **style)


def _lit(image: np.ndarray, where: np.ndarray | bool) -> np.ndarray:
    """The image (H, W, 3), dark but where a mask (H, W) is True."""
    return (image * np.where(where, 1, DIMMED)[..., None]).astype(np.uint8)


def _candidates(boxes_xyxy: np.ndarray) -> Callable[[Axes, MethodAnswer], None]:
    def draw(axis: Axes, answer: MethodAnswer) -> None:
        show_image(axis, _lit(answer.grounding.image, False))
        for box, colour in zip(boxes_xyxy, itertools.cycle(PHRASE_COLOURS), strict=False):
            draw_boxes(axis, box[None], colour=colour, linewidth=0.9)

    return draw


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
    _annotated(axis, answer)


def _boxes(axis: Axes, answer: MethodAnswer, *, most: int = BOXES) -> None:
    grounding = answer.grounding
    show_image(axis, heatmap_overlay(grounding.image, grounding.heatmap))
    further = [index for index in range(1, min(len(grounding.scores), most))
               if grounding.scores[index] >= SHARE_OF_BEST * grounding.scores[0]]  # fmt: skip
    for index in reversed(further):
        draw_boxes(axis, grounding.boxes_xyxy[[index]], [f"{grounding.scores[index]:.2f}"], linewidth=1,
                   linestyle=(0, (3, 2)), fontsize=6.5)  # fmt: skip
    draw_boxes(axis, grounding.boxes_xyxy[:1], [f"{grounding.scores[0]:.2f}"])
    _annotated(axis, answer)


def _annotated(axis: Axes, answer: MethodAnswer) -> None:
    if answer.annotated_xyxy is not None:
        draw_boxes(axis, answer.annotated_xyxy[None], **ANNOTATED_STYLE)
