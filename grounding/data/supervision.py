"""How much of the annotation training may see: all boxes, those of some images, or none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np

from grounding.errors import InputError
from grounding.types import Example, Expression, Region


class Supervised(Protocol):
    """What training needs of a data set that is grouped by image: `RefCOCOg` and `ImagePhrasePairs` have it.

    Attributes:
        expressions: of all images.
        regions: image id -> every annotated object of the image; of images without boxes, none.
    """

    @property
    def expressions(self) -> Sequence[Expression]: ...

    @property
    def regions(self) -> Mapping[int, Sequence[Region]]: ...

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Example: ...

    def expressions_of(self, index: int) -> tuple[Expression, ...]:
        """The expressions of an image, without reading it."""
        ...

    def stated_size(self, index: int) -> tuple[int, int] | None:
        """(width, height) in pixels that annotations give for an image; None where they give none."""
        ...

    def check_images(self) -> None:
        """Look for every image's file."""
        ...


def refuse_test_split(name: str, split: str) -> None:
    """Does nothing, unless `split`, the setting `name`, is a test split.

    Raises:
        InputError: it is one: what is learned or chosen on it could not be measured on it any more.
    """
    if split.startswith("test"):
        raise InputError(f"{name} is {split!r}: learn and choose on other splits, a test split is for measuring")


def without_boxes(example: Example) -> Example:
    """The example with the whole image in place of every box: whatever is done to it, no box can show in it."""
    height, width = example.image.shape[:2]
    whole = (0.0, 0.0, float(width), float(height))
    return replace(
        example, expressions=tuple(replace(each, box_xyxy=whole) for each in example.expressions), regions=()
    )


def images_with_boxes(dataset: Supervised, fraction: float, *, seed: int) -> set[int]:
    """The ids of the images whose boxes are used: a share of all, which contains every smaller one of the same seed.

    Args:
        dataset: grouped by image.
        fraction: in [0, 1]; above 0 never fewer than one image.
        seed: of the choice.
    """
    image_ids = sorted({expression.image_id for expression in dataset.expressions})
    count = max(int(fraction > 0), round(fraction * len(image_ids)))
    return {image_ids[i] for i in np.random.default_rng(seed).permutation(len(image_ids))[:count]}
