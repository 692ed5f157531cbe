"""What no look at the image achieves: the whole image, a box in its middle, and a random box."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np

from grounding.encoder import ImageLike, as_image
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
        return [Grounding(phrase, box, np.ones(1, dtype=np.float32), heatmap, pixels) for phrase in phrases]

    def ground_batch(self, images: Sequence[np.ndarray], phrases: Sequence[Sequence[str]]) -> list[list[Grounding]]:
        """`ground` for each image."""
        return [self.ground(image, asked) for image, asked in zip(images, phrases, strict=True)]


class WholeImageGrounder(CentredBoxGrounder):
    """Answers every phrase with the image's own border."""

    name = "whole-image"

    def __init__(self) -> None:
        super().__init__(share=1.0)


class RandomBoxGrounder:
    """Answers with a box between two random corners; its heatmap is hottest in the middle of the box.

    The draw depends on the seed, the image and the phrase alone, so that it is the same at any batch size.

    Args:
        seed: of the draws.
    """

    name = "random-box"
    weights = "none"

    def __init__(self, *, seed: int = 0) -> None:
        self.seed = seed

    def ground(self, image: ImageLike, phrases: Sequence[str]) -> list[Grounding]:
        """One random box per phrase."""
        pixels = as_image(image)
        return [self._random(pixels, phrase) for phrase in phrases]

    def ground_batch(self, images: Sequence[np.ndarray], phrases: Sequence[Sequence[str]]) -> list[list[Grounding]]:
        """`ground` for each image."""
        return [self.ground(image, asked) for image, asked in zip(images, phrases, strict=True)]

    def _random(self, image: np.ndarray, phrase: str) -> Grounding:
        height, width = image.shape[:2]
        rng = np.random.default_rng(
            [self.seed, zlib.crc32(phrase.encode()), zlib.crc32(image[:: max(1, height // 8)].tobytes())]
        )
        x1, x2 = np.sort(rng.uniform(0, width, 2))
        y1, y2 = np.sort(rng.uniform(0, height, 2))
        heatmap = np.zeros((height, width), dtype=np.float32)
        heatmap[int((y1 + y2) / 2), int((x1 + x2) / 2)] = 1
        box = np.array([[x1, y1, x2, y2]], dtype=np.float32)
        return Grounding(phrase, box, np.ones(1, dtype=np.float32), heatmap, image)
