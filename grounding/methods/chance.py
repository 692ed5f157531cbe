"""What no look at the image achieves: the whole image, and a box in its middle."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from grounding.clip.text import as_phrases
from grounding.data.images import ImageLike, as_image
from grounding.methods.batch import as_batch
from grounding.types import Grounding


class CentredBoxGrounder:
    """Answers every phrase with a box in the image's middle; its heatmap is hottest there.

    Args:
        share: the box's sides over the image's.
    """

    name = "centred-box"
    weights = "none"

    def __init__(self, *, share: float = 0.5) -> None:
        self.share = share

    def ground(self, image: ImageLike, phrases: Sequence[str]) -> list[Grounding]:
        """The same box for each phrase."""
        pixels = as_image(image)
        height, width = pixels.shape[:2]
        rows, columns = np.mgrid[0:height, 0:width]
        distance = np.hypot((columns + 0.5) / width - 0.5, (rows + 0.5) / height - 0.5)
        heatmap = (1 - distance).astype(np.float32)
        margin, size = (1 - self.share) / 2, np.array([width, height])
        box = np.concatenate([size * margin, size * (1 - margin)])[None].astype(np.float32)
        return [Grounding(phrase, box, np.ones(1, dtype=np.float32), heatmap, pixels) for phrase in as_phrases(phrases)]

    def ground_batch(self, images: Sequence[ImageLike], phrases: Sequence[Sequence[str]]) -> list[list[Grounding]]:
        """`ground` for each image."""
        return [self.ground(image, asked) for image, asked in zip(*as_batch(images, phrases), strict=True)]


class WholeImageGrounder(CentredBoxGrounder):
    """Answers every phrase with the image's own border."""

    name = "whole-image"

    def __init__(self) -> None:
        super().__init__(share=1.0)
