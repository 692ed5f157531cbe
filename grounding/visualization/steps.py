"""How a heatmap turns into boxes, step by step, for each way of extracting them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import cv2
import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from grounding.extraction import ExtractionConfig
from grounding.extraction.components import kept_pixels
from grounding.extraction.features import candidate_boxes
from grounding.extraction.multi_threshold import candidate_regions
from grounding.visualization.drawing import BOX_COLOUR, draw_boxes, show_image
from grounding.visualization.figures import MethodAnswer, contour_levels, draw_heatmap, draw_similarity
from grounding.visualization.layout import FigurePanel, FigureRow, draw_annotated, draw_rows, iou_caption

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
        assert answer.extraction is not None
        heatmap, image = answer.grounding.heatmap, answer.grounding.image
        first = [
            FigurePanel("1  similarity map", partial(draw_similarity, similarity=answer.similarity))
            if answer.similarity is not None
            else FigurePanel("1  photograph", partial(show_image, image=image)),
            FigurePanel("2  heatmap", partial(draw_heatmap, answer=answer)),
        ]
        between = _between(heatmap, image, answer.extraction)
        last = FigurePanel(f"{len(between) + 3}  boxes, the best in blue", partial(_boxes, answer=answer),
                     iou_caption(answer.grounding.boxes_xyxy, answer.annotated_xyxy))  # fmt: skip
        height, width = image.shape[:2]
        rows.append(FigureRow(answer.grounding.phrase, (width, height), [*first, *between, last]))
    return draw_rows(rows, title=title, annotated=any(answer.annotated_xyxy is not None for answer in answers))


def _between(heatmap: np.ndarray, image: np.ndarray, extraction: ExtractionConfig) -> list[FigurePanel]:
    """The steps from the heatmap to the boxes, which the methods do not share."""
    if extraction.method == "components":
        kept = kept_pixels(heatmap, relative_threshold=extraction.relative, absolute_threshold=extraction.absolute)
        level = contour_levels(heatmap, extraction)[0]
        count, regions = cv2.connectedComponents(kept.astype(np.uint8), connectivity=8)
        return [
            FigurePanel(f"3  threshold: heat of {level:.2f} or more", partial(show_image, image=_dimmed(image, ~kept))),
            FigurePanel(f"4  connected components: {count - 1}", partial(show_image, image=_coloured(image, regions))),
        ]
    if extraction.method == "multi_threshold":
        boxes = candidate_regions(heatmap, levels=extraction.levels)
        heading = f"3  regions at {len(extraction.levels)} thresholds: {len(boxes)}"
        return [FigurePanel(heading, partial(_candidates, image=image, boxes_xyxy=boxes))]
    if extraction.method == "rectangle":
        evidence = heatmap - extraction.offset * heatmap.max()
        return [FigurePanel("3  evidence for (red) and against (blue)", partial(_evidence, evidence=evidence))]
    boxes = candidate_boxes(heatmap)
    return [
        FigurePanel(f"3  candidates, to be ranked: {len(boxes)}", partial(_candidates, image=image, boxes_xyxy=boxes))
    ]


def _dimmed(image: np.ndarray, where: np.ndarray) -> np.ndarray:
    return np.where(where[..., None], image * DIMMED, image).astype(np.uint8)


def _coloured(image: np.ndarray, regions: np.ndarray) -> np.ndarray:
    """The image dark, each region (H, W) int of 1, 2, ... in a colour of its own."""
    colours = np.array([matplotlib.colors.to_rgb(colour) for colour in REGION_COLOURS]) * 255
    flat = colours[(regions - 1) % len(colours)]
    return np.where((regions > 0)[..., None], 0.25 * image + 0.75 * flat, image * DIMMED).astype(np.uint8)


def _candidates(axis: Axes, *, image: np.ndarray, boxes_xyxy: np.ndarray) -> None:
    show_image(axis, _dimmed(image, np.ones(image.shape[:2], dtype=bool)))
    for box, colour in zip(boxes_xyxy, np.resize(REGION_COLOURS, len(boxes_xyxy)), strict=True):
        draw_boxes(axis, box[None], colour=str(colour), linewidth=0.9)


def _evidence(axis: Axes, *, evidence: np.ndarray) -> None:
    most = float(np.abs(evidence).max()) or 1.0
    show_image(axis, evidence, cmap="RdBu_r", vmin=-most, vmax=most)


def _boxes(axis: Axes, *, answer: MethodAnswer) -> None:
    show_image(axis, answer.grounding.image)
    boxes, scores = answer.grounding.boxes_xyxy[:BOXES], answer.grounding.scores[:BOXES]
    for index in reversed(range(len(boxes))):
        draw_boxes(axis, boxes[[index]], [f"{scores[index]:.2f}"], colour="#E69F00" if index else BOX_COLOUR,
                   linewidth=1 if index else 1.8, fontsize=6.5 if index else 8)  # fmt: skip
    draw_annotated(axis, answer.annotated_xyxy)
