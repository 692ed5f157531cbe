"""A method's answers to one image, with what led to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from grounding.extraction import ExtractionConfig
from grounding.methods.dense import DenseGrounder, Grounder
from grounding.methods.gradcam import GradCAMGrounder
from grounding.types import Example, Grounding


@dataclass(frozen=True)
class Answer:
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


def answers(grounder: Grounder, example: Example) -> list[Answer]:
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
        Answer(grounder.name, grounding, similarity, extraction, box)
        for grounding, similarity, box in zip(groundings, maps, known, strict=True)
    ]
