"""What methods answer as figures: one method's image, maps and boxes, or several methods side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from grounding.extraction import ExtractionConfig
from grounding.geometry import box_iou
from grounding.methods.dense import DenseGrounder
from grounding.methods.gradcam import GradCAMGrounder
from grounding.methods.grounder import Grounder
from grounding.methods.own import OwnGrounder
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
    show_image,
)
from grounding.visualization.layout import FigurePanel, FigureRow, draw_rows

BOXES = 5  # drawn at most; the best one alone in full strength
SHARE_OF_BEST = 0.5  # further boxes with less of the best one's score would only clutter the picture


@dataclass(frozen=True, eq=False)
class MethodAnswer:
    """One method's answer to one expression.

    Attributes:
        method: its name.
        grounding: the answer.
        similarity: (H, W) float32, CLIP's own cosines before the decoder; None for methods that do not begin with them.
        extraction: how boxes were made from the heatmap; None where they were not.
        annotated_xyxy: (4,) the annotated box in pixels of the image; None where nobody knows it.
        own: whether it is of a method of one's own, whose heatmap may be anything.
    """

    method: str
    grounding: Grounding
    similarity: np.ndarray | None
    extraction: ExtractionConfig | None
    annotated_xyxy: np.ndarray | None
    own: bool = False


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
        MethodAnswer(grounder.name, grounding, similarity, extraction, box, isinstance(grounder, OwnGrounder))
        for grounding, similarity, box in zip(groundings, maps, known, strict=True)
    ]


def draw_figure(answers: Sequence[MethodAnswer], *, title: str) -> Figure:
    """A row per answer.

    Args:
        answers: at least one, all of one method.
        title: of the figure.
    """
    rows = []
    for answer in answers:
        panels = [answer_panel("image", _image, answer)]
        if answer.similarity is not None:
            panels.append(answer_panel("similarity map, before the decoder", draw_similarity, answer))
        heading = "heatmap" if answer.own else _heatmap_heading(answer.extraction)
        panels.append(answer_panel(heading, draw_heatmap, answer))
        rows.append([*panels, answer_panel("boxes", _boxes, answer, iou=True)])
    return draw_answers(answers, rows, title=title)


def draw_comparison(answers: Sequence[Sequence[MethodAnswer]], *, title: str) -> Figure:
    """A row per phrase, a column per method: heatmap, best box with its score, and the IoU where it is known.

    Args:
        answers: per phrase, at least one, the answers of all methods in the same order.
        title: of the figure.
    """
    best = partial(_boxes, most=1)
    rows = [[answer_panel(answer.method, best, answer, iou=True) for answer in of_phrase] for of_phrase in answers]
    return draw_answers([of_phrase[0] for of_phrase in answers], rows, title=title)


def draw_answers(answers: Sequence[MethodAnswer], rows: Sequence[Sequence[FigurePanel]], *, title: str) -> Figure:
    """A figure of rows of panels, each under the phrase of its answer."""
    legend = {"best box, with its score": legend_line(BOX_COLOUR, 1.8)}
    if any(answer.annotated_xyxy is not None for answer in answers):
        legend["annotated box"] = legend_line(**ANNOTATED_STYLE)
    headed = [FigureRow(panels, f'"{answer.grounding.phrase}"') for answer, panels in zip(answers, rows, strict=True)]
    figure = draw_rows(headed, title=title, legend=legend)
    keep_labels_inside(figure)
    return figure


def answer_panel(
    heading: str, draw: Callable[[Axes, MethodAnswer], None], answer: MethodAnswer, *, iou: bool = False
) -> FigurePanel:
    """A panel of an answer's image; with `iou` it says how well the best box fits the annotated one, where known."""
    height, width = answer.grounding.image.shape[:2]
    notes = []
    if iou and answer.annotated_xyxy is not None:
        notes = [f"IoU {box_iou(answer.grounding.boxes_xyxy[:1], answer.annotated_xyxy[None])[0, 0]:.2f}"]
    return FigurePanel((width, height), lambda axis: draw(axis, answer), heading, notes=notes)


def contour_levels(heatmap: np.ndarray, extraction: ExtractionConfig) -> list[float]:
    """The heat at which the extraction cuts the heatmap; none where it does not cut it at fixed levels."""
    peak = float(heatmap.max())
    if extraction.method == "components":
        return [max(extraction.relative * peak, extraction.absolute)]
    if extraction.method == "multi_threshold":
        return sorted({level * peak for level in extraction.levels})
    return [extraction.offset * peak] if extraction.method == "rectangle" else []


def draw_map(axis: Axes, values: np.ndarray, *, low: float, high: float, form: str) -> None:
    """A map (H, W) in colours, with a bar below it that says what they mean."""
    show_image(axis, values, cmap=COLOUR_MAP, vmin=low, vmax=high)
    bar = axis.inset_axes((0.2, -0.065, 0.6, 0.035))
    bar.imshow(np.linspace(0, 1, 256)[None], cmap=COLOUR_MAP, aspect="auto", extent=(0, 1, 0, 1))
    bar.axis("off")
    for x, align, value in ((-0.02, "right", low), (1.02, "left", high)):
        bar.text(x, 0.5, f"{value:{form}}", transform=bar.transAxes, ha=align, va="center", fontsize=8, color="#444444")


def draw_contour(axis: Axes, heatmap: np.ndarray, levels: Sequence[float]) -> None:
    """Lines where the heatmap crosses the levels; a pixel's value stands at its centre."""
    height, width = heatmap.shape
    crossed = [level for level in levels if heatmap.min() < level <= heatmap.max()]
    if not crossed or min(heatmap.shape) < 2:
        return
    grid = np.arange(width) + 0.5, np.arange(height) + 0.5
    for colour, linewidth in ((INK, 2.6), ("#FFFFFF", 1.1)):
        axis.contour(*grid, heatmap, levels=crossed, colors=colour, linewidths=linewidth)


def _heatmap_heading(extraction: ExtractionConfig | None) -> str:
    if extraction is None:
        return "heatmap of the scored proposals"
    return "heatmap" + {
        "components": " and its threshold",
        "multi_threshold": " and its thresholds",
        "rectangle": " and where evidence begins",
    }.get(extraction.method, "")


def draw_similarity(axis: Axes, answer: MethodAnswer) -> None:
    """CLIP's own map, in colours from its lowest to its highest cosine."""
    assert answer.similarity is not None
    draw_map(axis, answer.similarity, low=float(answer.similarity.min()), high=float(answer.similarity.max()),
             form=".2f")  # fmt: skip


def draw_heatmap(axis: Axes, answer: MethodAnswer) -> None:
    """The answer's heatmap, with the lines where the extraction cuts it."""
    heatmap = answer.grounding.heatmap
    draw_map(axis, heatmap, low=0, high=1, form="g")
    if answer.extraction is not None:
        draw_contour(axis, heatmap, contour_levels(heatmap, answer.extraction))


def draw_annotated(axis: Axes, answer: MethodAnswer) -> None:
    """The annotated box, where there is one, after all others."""
    if answer.annotated_xyxy is not None:
        draw_boxes(axis, answer.annotated_xyxy[None], **ANNOTATED_STYLE)


def _image(axis: Axes, answer: MethodAnswer) -> None:
    show_image(axis, answer.grounding.image)
    draw_annotated(axis, answer)


def _boxes(axis: Axes, answer: MethodAnswer, *, most: int = BOXES) -> None:
    grounding = answer.grounding
    show_image(axis, heatmap_overlay(grounding.image, grounding.heatmap))
    further = [index for index in range(1, min(len(grounding.scores), most))
               if grounding.scores[index] >= SHARE_OF_BEST * grounding.scores[0]]  # fmt: skip
    for index in reversed(further):
        draw_boxes(axis, grounding.boxes_xyxy[[index]], [f"{grounding.scores[index]:.2f}"], linewidth=1,
                   linestyle=(0, (3, 2)), fontsize=6.5)  # fmt: skip
    draw_boxes(axis, grounding.boxes_xyxy[:1], [f"{grounding.scores[0]:.2f}"])
    draw_annotated(axis, answer)
