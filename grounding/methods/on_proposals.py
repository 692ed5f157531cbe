"""A heatmap that chooses among a detector's boxes, in the place of boxes around the heat itself.

Weakly supervised grounders answer so, with the proposals of a detector that knows no phrases: Liu et al. 2019,
"Adaptive Reconstruction Network for Weakly Supervised Referring Expression Grounding"; Jin et al. 2023, "RefCLIP". What
learned without boxes where a phrase is has not learned where an object ends, which the detector has.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from grounding.clip.encoder import EncodedImages
from grounding.clip.text import TextEncoder
from grounding.errors import InputError
from grounding.extraction.heat import box_sums
from grounding.geometry import box_area
from grounding.methods.dense import DenseGrounder
from grounding.methods.drawings import photograph_warnings
from grounding.methods.grounder import EncodingGrounder, Grounder
from grounding.methods.proposals import Proposer
from grounding.methods.yolo_clip import boxes_to_choose_from
from grounding.types import Grounding


@dataclass(frozen=True, eq=False, repr=False)
class ImagesWithProposals:
    """Images that are encoded for the heatmaps, and their proposals.

    Attributes:
        seen: as `DenseGrounder` encodes them.
        boxes_xyxy: per image (N, 4), N >= 1, in its pixels.
        found: per image, whether these are proposals; else the only one is the whole image.
        encoded_by: `OnProposals.identity`.
    """

    seen: EncodedImages
    boxes_xyxy: tuple[np.ndarray, ...]
    found: tuple[bool, ...]
    encoded_by: tuple[str, ...]

    @property
    def images(self) -> tuple[np.ndarray, ...]:
        """The originals, each (H, W, 3) uint8 RGB."""
        return self.seen.images

    @property
    def nbytes(self) -> int:
        """Bytes that all of it takes."""
        return self.seen.nbytes + sum(each.nbytes for each in self.boxes_xyxy)


class OnProposals(EncodingGrounder):
    """Answers with the proposals where another method's heatmap is highest.

    Heatmap and presence stay that method's; scores are not calibrated. Where the detector proposes nothing, the answer
    is the whole image, marked as `no_proposal`.

    Args:
        maps: whose heatmaps choose.
        proposer: finds boxes without knowing the phrase.

    Raises:
        InputError: `maps` makes no heatmap of an image.
    """

    encoded = ImagesWithProposals

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

    @property
    def identity(self) -> tuple[str, ...]:
        """What an encoded image depends on besides the image."""
        return (*self.maps.identity, self.proposer.sha256, str(self.proposer.config))

    def _encode(self, images: Sequence[np.ndarray]) -> ImagesWithProposals:
        boxes, found = zip(*(boxes_to_choose_from(self.proposer, image) for image in images), strict=True)
        return ImagesWithProposals(self.maps._encode(images), boxes, found, self.identity)

    def _ground_encoded(self, encoded: ImagesWithProposals, phrases: Sequence[Sequence[str]]) -> list[list[Grounding]]:
        warnings = photograph_warnings(encoded.images, self.maps.encoder.clip, self.proposer)
        return [
            [_on_boxes(answer, boxes, no_proposal=not found, warning=warning) for answer in answers]
            for answers, boxes, found, warning in zip(self.maps._ground_encoded(encoded.seen, phrases),
                                                      encoded.boxes_xyxy, encoded.found, warnings, strict=True)
        ]  # fmt: skip


def _on_boxes(answer: Grounding, boxes_xyxy: np.ndarray, *, no_proposal: bool, warning: str) -> Grounding:
    """The answer with other boxes (N, 4), the hottest first."""
    heat = heat_of_boxes(answer.heatmap, boxes_xyxy)
    order = np.argsort(-heat, kind="stable")
    return replace(answer, boxes_xyxy=boxes_xyxy[order], scores=heat[order], no_proposal=no_proposal,
                   found=(0,) if answer.found else (), calibrated=False, warning=warning)  # fmt: skip


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
