"""The same phrases under several methods, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from grounding.visualization.answers import Answer
from grounding.visualization.drawing import draw_boxes, heatmap_overlay, show_image
from grounding.visualization.layout import Panel, Row, draw_annotated, draw_rows, iou_caption


def draw_comparison(answers: Sequence[Sequence[Answer]], *, title: str) -> Figure:
    """A row per phrase, a column per method: heatmap, best box with its score, and the IoU where it is known.

    Args:
        answers: per phrase, at least one, the answers of all methods in the same order.
        title: of the figure.
    """
    rows = []
    for of_phrase in answers:
        height, width = of_phrase[0].grounding.image.shape[:2]
        panels = [
            Panel(answer.method, partial(_panel, answer=answer),
                  iou_caption(answer.grounding.boxes_xyxy, answer.annotated_xyxy))
            for answer in of_phrase
        ]  # fmt: skip
        rows.append(Row(of_phrase[0].grounding.phrase, (width, height), panels))
    annotated = any(answer.annotated_xyxy is not None for of_phrase in answers for answer in of_phrase)
    return draw_rows(rows, title=title, annotated=annotated)


def _panel(axis: Axes, *, answer: Answer) -> None:
    grounding = answer.grounding
    show_image(axis, heatmap_overlay(grounding.image, grounding.heatmap))
    draw_boxes(axis, grounding.boxes_xyxy[:1], [f"{grounding.scores[0]:.2f}"])
    draw_annotated(axis, answer.annotated_xyxy)
