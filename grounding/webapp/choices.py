"""From a kept heatmap to the boxes that are shown: what sliders do, without any model of images or phrases."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from grounding.extraction import ExtractionConfig, extract
from grounding.webapp.methods import Method


@dataclass(frozen=True)
class Choice:
    """Which of a method's boxes are shown, and how they are made.

    Attributes:
        method: name of the method.
        extraction: how boxes are made from its heatmaps; None for the method's own way, and for proposals.
        relative: of "components"; see `ExtractionConfig`.
        offset: of "rectangle".
        lowest_score: boxes that score lower are left out.
        most_boxes: of each phrase, the best so many.
    """

    method: str
    extraction: str | None = None
    relative: float = 0.5
    offset: float = 0.5
    lowest_score: float = 0.0
    most_boxes: int = 1


@dataclass(frozen=True)
class Found:
    """What a method found of one phrase, without the image.

    Attributes:
        phrase: what was asked.
        boxes_xyxy: (N, 4) float32, pixels of the original image, best box first.
        scores: (N,) float32 in [0, 1].
        heatmap: (H, W) float32 in [0, 1].
        no_proposal: see `Grounding`.
    """

    phrase: str
    boxes_xyxy: np.ndarray
    scores: np.ndarray
    heatmap: np.ndarray
    no_proposal: bool = False


def chosen_extraction(method: Method, choice: Choice) -> ExtractionConfig | None:
    """How boxes are made from heatmaps; None for a method that chooses among proposals.

    Raises:
        InputError: a parameter is out of its range.
    """
    own = method.extraction
    if own is None or choice.extraction is None:
        return own
    return replace(own, method=choice.extraction, relative=choice.relative, offset=choice.offset)  # type: ignore[arg-type]


def chosen_boxes(found: Found, method: Method, choice: Choice) -> Found:
    """The answer of a method with the boxes that were chosen in place of its own ones.

    Raises:
        InputError: a parameter of the extraction is out of its range, or it needs a network that the run lacks.
    """
    extraction = chosen_extraction(method, choice)
    boxes_xyxy, scores = found.boxes_xyxy, found.scores
    if extraction is not None and method.extraction is not None:
        # Parameters that the extraction does not look at may differ.
        same = extraction.method == method.extraction.method and extraction.parameters == method.extraction.parameters
        if not same:
            boxes_xyxy, scores = extract(found.heatmap, extraction, getattr(method.grounder, "quality_head", None))
    count = min(choice.most_boxes, int((scores >= choice.lowest_score).sum()))  # the best come first
    return replace(found, boxes_xyxy=boxes_xyxy[:count], scores=scores[:count])
