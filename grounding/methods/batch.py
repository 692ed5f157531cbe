"""What `ground_batch` is given, checked in one place for all methods."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from grounding.clip.text import as_phrases
from grounding.data.images import ImageLike, as_image
from grounding.errors import InputError


def as_batch(images: Sequence[ImageLike], phrases: Sequence[Sequence[str]]) -> tuple[list[np.ndarray], list[list[str]]]:
    """Images and the phrases of each, checked as `ground` checks those of one image.

    Raises:
        InputError: there are not as many lists of phrases as images, a string stands where a list of phrases is
            expected, an image cannot be read, or an array is none.
    """
    asked = [as_phrases(of_image) for of_image in phrases]
    if len(images) != len(asked):
        raise InputError(f"{len(images)} images and {len(asked)} lists of phrases: give a list of phrases for each")
    return [as_image(image) for image in images], asked
