"""What training may see of a data set: its boxes, as masks, or none of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from grounding.errors import InputError
from grounding.types import Example, Expression, Region


class Supervised(Protocol):
    """What training needs of a data set that is grouped by image: every `GroundingDataset` has it.

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
    expressions = tuple(replace(each, box_xyxy=whole, parts_xyxy=()) for each in example.expressions)
    return replace(example, expressions=expressions, regions=())


def images_with_boxes(dataset: Supervised, fraction: float, *, seed: int) -> set[int]:
    """The ids of images that keep their annotated boxes: a share of all, which contains every smaller one of the seed.

    Args:
        dataset: grouped by image.
        fraction: in [0, 1]; above 0 never fewer than one image.
        seed: of the choice.
    """
    image_ids = sorted({expression.image_id for expression in dataset.expressions})
    count = max(int(fraction > 0), round(fraction * len(image_ids)))
    return {image_ids[i] for i in np.random.default_rng(seed).permutation(len(image_ids))[:count]}


def box_masks(boxes_xyxy: Tensor, size: int, stride: int) -> Tensor:
    """What a heatmap is supervised with, 1 inside the annotated box and 0 outside: of every cell, the share it covers.

    Args:
        boxes_xyxy: (N, 4) in model pixels.
        size: cells along a side.
        stride: model pixels per cell.

    Returns:
        (N, size, size) float32 in [0, 1].
    """
    edges = torch.arange(size + 1, device=boxes_xyxy.device, dtype=torch.float32) * stride
    low, high = edges[:-1], edges[1:]
    x1, y1, x2, y2 = boxes_xyxy.float()[:, :, None].unbind(dim=1)  # (N, 1) each
    across = (torch.minimum(x2, high) - torch.maximum(x1, low)).clamp(min=0) / stride
    down = (torch.minimum(y2, high) - torch.maximum(y1, low)).clamp(min=0) / stride
    return down[:, :, None] * across[:, None, :]


def phrase_masks(masks: Tensor, counts: Tensor) -> Tensor:
    """The masks of each phrase's boxes as one: the larger share where two cover a cell, 0 where there is no box.

    Args:
        masks: (N, h, w) in [0, 1], phrase by phrase.
        counts: (P,) int64, how many each phrase has.

    Returns:
        (P, h, w).
    """
    phrase_of = torch.repeat_interleave(torch.arange(len(counts), device=masks.device), counts)
    merged = masks.new_zeros(len(counts), *masks.shape[1:])
    return merged.scatter_reduce(0, phrase_of[:, None, None].expand_as(masks), masks, "amax")
