"""How a heatmap turns into boxes, step by step, for each way of extracting them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import cv2
import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from grounding.extraction.components import candidate_regions, kept_pixels
from grounding.extraction.grabcut import LIKELY
from grounding.extraction.quality import candidate_boxes
from grounding.visualization.drawing import BOX_COLOUR, draw_boxes, show_image
from grounding.visualization.figures import (
    MethodAnswer,
    answer_panel,
    contour_levels,
    draw_annotated,
    draw_answers,
    draw_heatmap,
    draw_similarity,
)

BOXES = 5  # drawn at most in the last panel
REGION_COLOURS = ("#56B4E9", "#E69F00", "#009E73", "#CC79A7", "#F0E442", "#0072B2", "#D55E00")  # Okabe and Ito's
DIMMED = 0.35


def draw_steps(answers: Sequence[MethodAnswer], *, title: str) -> Figure:
    """A row per answer of a method that makes boxes from heatmaps.

    Args:
        answers: at least one, each with its extraction.
        title: of the figure.
    """
    rows = []
    for answer in answers:
        steps: list[tuple[str, Callable[[Axes, MethodAnswer], None]]] = [
            ("image", _picture(answer.grounding.image))
            if answer.similarity is None
            else ("similarity map", draw_similarity),
            ("heatmap", draw_heatmap),
            *_between(answer),
            ("boxes, the best in blue", _boxes),
        ]
        rows.append([
            answer_panel(f"{number}  {heading}", draw, answer, iou=number == len(steps))
            for number, (heading, draw) in enumerate(steps, 1)
        ])  # fmt: skip
    return draw_answers(answers, rows, title=title)


def _between(answer: MethodAnswer) -> list[tuple[str, Callable[[Axes, MethodAnswer], None]]]:
    """The steps from the heatmap to the boxes, which the ways to extract do not share."""
    heatmap, image, extraction = answer.grounding.heatmap, answer.grounding.image, answer.extraction
    assert extraction is not None
    if extraction.method == "components":
        kept = kept_pixels(heatmap, relative_threshold=extraction.relative, absolute_threshold=extraction.absolute)
        level = contour_levels(heatmap, extraction)[0]
        count, regions = cv2.connectedComponents(kept.astype(np.uint8), connectivity=8)
        return [
            (f"threshold: heat of {level:.2f} or more", _picture(_dimmed(image, ~kept))),
            (f"connected components: {count - 1}", _picture(_coloured(image, regions))),
        ]
    if extraction.method == "multi_threshold":
        boxes = candidate_regions(heatmap, levels=extraction.levels)
        return [(f"regions at {len(extraction.levels)} thresholds: {len(boxes)}", _candidates(boxes))]
    if extraction.method == "rectangle":
        evidence = heatmap - extraction.offset * heatmap.max()
        most = float(np.abs(evidence).max()) or 1.0
        return [("evidence for (red) and against (blue)", _picture(evidence, cmap="RdBu_r", vmin=-most, vmax=most))]
    if extraction.method == "grabcut":
        level = heatmap.min() + LIKELY * np.ptp(heatmap)
        return [(f"GrabCut starts where the heat is {level:.2f} or more", _picture(_dimmed(image, heatmap < level)))]
    boxes = candidate_boxes(heatmap)
    return [(f"candidates, to be ranked: {len(boxes)}", _candidates(boxes))]


def _picture(image: np.ndarray, **style: Any) -> Callable[[Axes, MethodAnswer], None]:
    return lambda axis, answer: show_image(axis, image, **style)


def _dimmed(image: np.ndarray, where: np.ndarray) -> np.ndarray:
    return np.where(where[..., None], image * DIMMED, image).astype(np.uint8)


def _coloured(image: np.ndarray, regions: np.ndarray) -> np.ndarray:
    """The image dark, each region (H, W) int of 1, 2, ... in a colour of its own."""
    colours = np.array([matplotlib.colors.to_rgb(colour) for colour in REGION_COLOURS]) * 255
    flat = colours[(regions - 1) % len(colours)]
    return np.where((regions > 0)[..., None], 0.25 * image + 0.75 * flat, image * DIMMED).astype(np.uint8)


def _candidates(boxes_xyxy: np.ndarray) -> Callable[[Axes, MethodAnswer], None]:
    def draw(axis: Axes, answer: MethodAnswer) -> None:
        show_image(axis, (answer.grounding.image * DIMMED).astype(np.uint8))
        for box, colour in zip(boxes_xyxy, itertools.cycle(REGION_COLOURS), strict=False):
            draw_boxes(axis, box[None], colour=colour, linewidth=0.9)

    return draw


def _boxes(axis: Axes, answer: MethodAnswer) -> None:
    show_image(axis, answer.grounding.image)
    boxes, scores = answer.grounding.boxes_xyxy[:BOXES], answer.grounding.scores[:BOXES]
    for index in reversed(range(len(boxes))):
        draw_boxes(axis, boxes[[index]], [f"{scores[index]:.2f}"], colour="#E69F00" if index else BOX_COLOUR,
                   linewidth=1 if index else 1.8, fontsize=6.5 if index else 8)  # fmt: skip
    draw_annotated(axis, answer)
