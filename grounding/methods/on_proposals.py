"""A heatmap that chooses among a detector's boxes, in the place of boxes around the heat itself.

Weakly supervised grounders answer so, with the proposals of a detector that knows no phrases: Liu et al. 2019,
"Adaptive Reconstruction Network for Weakly Supervised Referring Expression Grounding"; Jin et al. 2023, "RefCLIP". What
learned without boxes where a phrase is has not learned where an object ends, which the detector has.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from grounding.clip.text import TextEncoder
from grounding.data.images import ImageLike
from grounding.errors import InputError
from grounding.extraction.heat import box_sums
from grounding.geometry import box_area
from grounding.methods.dense import DenseGrounder
from grounding.methods.drawings import photograph_warnings
from grounding.methods.grounder import Grounder
from grounding.methods.proposals import Proposer
from grounding.methods.stream import EncodeOnceGrounder
from grounding.methods.yolo_clip import boxes_to_choose_from
from grounding.types import Grounding


class OnProposals(EncodeOnceGrounder):
    """Answers with the proposals where another method's heatmap is highest.

    Heatmap and presence stay that method's; scores are not calibrated. Where the detector proposes nothing, the answer
    is the whole image, marked as `no_proposal`.

    Args:
        maps: whose heatmaps choose.
        proposer: finds boxes without knowing the phrase.

    Raises:
        InputError: `maps` makes no heatmap of an image.
    """

    def __init__(self, maps: Grounder, proposer: Proposer) -> None:
        if not isinstance(maps, DenseGrounder):
            raise InputError(f"{maps.name} makes no heatmap that could choose among a detector's boxes: give +yolo "
                             "after a run, a CLIP or zero-shot")  # fmt: skip
        self.maps = maps
        self.proposer = proposer
        self.name = f"{maps.name}+yolo"
        self.weights = f"{maps.weights}; {proposer.weights}"

    @property
    def text(self) -> TextEncoder:
        """What reads the phrases, and remembers them."""
        return self.maps.text

    def encode(self, image: ImageLike) -> Any:
        """An image as a value that `ground` takes in its place; raises as `DenseGrounder.encode`."""
        return self.maps.encode(image)

    def ground(self, image: Any, phrases: Sequence[str]) -> list[Grounding]:
        """The proposals in the order of their heat, per phrase; takes and raises what `DenseGrounder.ground` does."""
        return self._chosen(self.maps.ground(image, phrases))

    def ground_batch(self, images: Sequence[ImageLike], phrases: Sequence[Sequence[str]]) -> list[list[Grounding]]:
        """`ground` for several images; raises as `DenseGrounder.ground_batch`."""
        return [self._chosen(answers) for answers in self.maps.ground_batch(images, phrases)]

    def _chosen(self, answers: Sequence[Grounding]) -> list[Grounding]:
        """The answers about one image with its proposals for their boxes."""
        if not answers:
            return []
        image = answers[0].image
        boxes, are_proposals = boxes_to_choose_from(self.proposer, image)
        [warning] = photograph_warnings([image], self.maps.encoder.clip, self.proposer)
        chosen = []
        for answer in answers:
            heat = heat_of_boxes(answer.heatmap, boxes)
            order = np.argsort(-heat, kind="stable")
            chosen.append(replace(answer, boxes_xyxy=boxes[order], scores=heat[order], no_proposal=not are_proposals,
                                  found=(0,) if answer.found else (), calibrated=False, warning=warning))  # fmt: skip
        return chosen


def heat_of_boxes(heatmap: np.ndarray, boxes_xyxy: np.ndarray) -> np.ndarray:
    """How hot each box is: the mean of its highest and of its mean heat.

    The highest alone cannot tell apart boxes that share a peak, and the mean alone likes parts of objects.

    Args:
        heatmap: (H, W) float32 in [0, 1].
        boxes_xyxy: (N, 4) in its pixels and within it, each with an area.

    Returns:
        (N,) float32 in [0, 1].
    """
    means = box_sums(heatmap).sums(boxes_xyxy) / box_area(boxes_xyxy)
    first, last = np.floor(boxes_xyxy[:, :2]).astype(int), np.ceil(boxes_xyxy[:, 2:]).astype(int)
    peaks = [heatmap[y1:y2, x1:x2].max() for (x1, y1), (x2, y2) in zip(first, last, strict=True)]
    return np.clip((means + peaks) / 2, 0, 1).astype(np.float32)
