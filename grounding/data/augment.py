"""Augmentation that moves boxes with pixels and leaves every phrase true.

What may happen to a picture depends on the phrases that are asked of it: "the cup on the left" forbids a crop, and
under a mirror "left" becomes "right".
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # importing it would otherwise look for a newer version online

import albumentations as A
import numpy as np

from grounding.data.augmentation_rules import can_be_mirrored, mirrored_phrase, names_another, names_place
from grounding.types import SetExample

OFTEN = 0.5
LEAST_SIDE = 0.5  # of the picture's side that a crop leaves


@dataclass(frozen=True)
class AugmentationConfig:
    """What happens to training images at random, where the phrases drawn for them permit it.

    Attributes:
        crop: the picture is cropped around all that its phrases refer to.
        flip: the picture is mirrored, and "left" and "right" change places in its phrases.
    """

    crop: bool = False
    flip: bool = False


def augment(
    example: SetExample, drawn: Sequence[int], config: AugmentationConfig, *, rng: np.random.Generator
) -> SetExample:
    """An example as it is trained on: with the drawn expressions only, transformed as far as these permit.

    Every box that an expression of the image has, drawn or not, stays in the picture as a whole.
    """
    asked = replace(example, expressions=tuple(example.expressions[i] for i in drawn), regions=())
    # Whatever the phrases permit, three are drawn, of which the second decides nothing: that is what a seed means.
    crops, _, flips = (rng.random() < OFTEN for _ in range(3))
    transforms: list[A.BasicTransform] = []
    if crops and config.crop and not any(map(names_place, asked.phrases)):
        transforms.append(A.Crop(*_window(example, asked.phrases, rng), p=1))
    if flips and config.flip and all(map(can_be_mirrored, asked.phrases)):
        transforms.append(A.HorizontalFlip(p=1))
        mirrored = tuple(replace(each, phrase=mirrored_phrase(each.phrase)) for each in asked.expressions)
        asked = replace(asked, expressions=mirrored)
    return _moved(asked, transforms) if transforms else asked


def _window(example: SetExample, phrases: Sequence[str], rng: np.random.Generator) -> tuple[int, int, int, int]:
    """x1, y1, x2, y2 in whole pixels of a crop: each side a random length between the least and the whole picture's."""
    kept = example.boxes_xyxy
    if any(map(names_another, phrases)):  # nobody says which of the annotated objects that is, so all of them stay
        kept = np.concatenate([kept, np.array([r.box_xyxy for r in example.regions], np.float32).reshape(-1, 4)])
    shares = rng.uniform(0, 1, 2)
    whole = np.array([example.image.shape[1], example.image.shape[0]])
    low = np.clip(np.floor(kept[:, :2].min(axis=0)), 0, whole - 1).astype(int)
    high = np.clip(np.ceil(kept[:, 2:].max(axis=0)), low + 1, whole).astype(int)
    least = np.maximum(np.ceil(LEAST_SIDE * whole), high - low)
    length = np.clip(np.round(least + shares * (whole - least)).astype(int), high - low, whole)
    start = rng.integers(np.maximum(0, high - length), np.minimum(low, whole - length) + 1)
    (x1, y1), (x2, y2) = start, start + length
    return int(x1), int(y1), int(x2), int(y2)


def _moved(example: SetExample, transforms: list[A.BasicTransform]) -> SetExample:
    """The example with its image and boxes transformed."""
    height, width = example.image.shape[:2]
    transform = A.Compose(
        transforms,
        bbox_params=A.BboxParams(format="pascal_voc", label_fields=["order"], min_area=0, min_visibility=0),
    )
    boxes = example.boxes_xyxy.clip(0, np.array([width, height, width, height], dtype=np.float32))
    out = transform(image=example.image, bboxes=boxes, order=np.arange(len(boxes)))
    moved = boxes.copy()
    moved[np.asarray(out["order"], dtype=int)] = np.asarray(out["bboxes"], dtype=np.float32).reshape(-1, 4)
    in_order = map(tuple, moved.tolist())
    expressions = tuple(
        replace(expression, boxes_xyxy=tuple(islice(in_order, len(expression.boxes_xyxy))))
        for expression in example.expressions
    )
    return replace(example, image=out["image"], expressions=expressions)
