"""Augmentation that moves boxes with pixels and leaves every phrase true.

What may happen to a picture depends on the phrases that are asked of it: "the red cup" forbids a change of colour,
"the cup on the left" a crop, and under a mirror "left" becomes "right".
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # importing it would otherwise look for a newer version online

import albumentations as A
import numpy as np

from grounding.data.augmentation_rules import (
    can_be_mirrored,
    mirrored_phrase,
    names_another,
    names_colour,
    names_place,
    names_sharpness,
)
from grounding.geometry import Letterbox
from grounding.types import SetExample

OFTEN, SELDOM = 0.5, 0.2
LEAST_SIDE = 0.5  # of the picture's side that a crop leaves
MOST_ZOOM = 1.5


@dataclass(frozen=True)
class AugmentationConfig:
    """What happens to training images at random, where the phrases drawn for them permit it.

    Attributes:
        crop: the picture is cropped around all that its phrases refer to.
        scale: the picture is made smaller inside the letterbox, or larger and cut at its sides, as a crop is.
        flip: the picture is mirrored, and "left" and "right" change places in its phrases.
        colour: brightness, contrast, saturation and hue change.
        blur: the picture is blurred, sharpened or made noisy.
    """

    crop: bool = False
    scale: bool = False
    flip: bool = False
    colour: bool = False
    blur: bool = False


UNCHANGED = AugmentationConfig()


def augment(
    example: SetExample, drawn: Sequence[int], config: AugmentationConfig, *, model_size: int, rng: np.random.Generator
) -> tuple[SetExample, Letterbox]:
    """An example as it is trained on: with the drawn expressions only, transformed as far as these permit.

    Args:
        example: one image with all its expressions, of which one at least names an object.
        drawn: which of them are asked, at least one.
        config: what may happen. Where nothing may, the picture, boxes and phrases stay as they are, to the last bit.
        model_size: side of the letterbox in pixels.
        rng: of all that is random; in the same state it gives the same result.

    Returns:
        The example, without regions, its boxes in pixels of its own image, and the letterbox to put it in. Every box
        that an expression of the image has, drawn or not, is in it as a whole.
    """
    asked = replace(example, expressions=tuple(example.expressions[i] for i in drawn), regions=())
    permitted = _permitted(config, asked.phrases)
    # Drawn whatever the phrases permit.
    crops, zooms, flips = (rng.random() < OFTEN for _ in range(3))
    zoom = rng.uniform(-1, 1) if zooms and config.scale else 0.0  # exponent of MOST_ZOOM; below 0 smaller

    geometric: list[A.BasicTransform] = []
    crops = crops and permitted.crop
    enlarge = zoom if zoom > 0 and permitted.scale else 0.0
    if crops or enlarge:
        geometric.append(A.Crop(*_window(example, asked.phrases, rng, crops=crops, zoom=enlarge), p=1))
    if flips and permitted.flip:
        geometric.append(A.HorizontalFlip(p=1))
        mirrored = tuple(replace(each, phrase=mirrored_phrase(each.phrase)) for each in asked.expressions)
        asked = replace(asked, expressions=mirrored)
    if geometric:
        asked = _moved(asked, geometric)

    photometric = _photometric(permitted)
    if photometric:
        transform = A.Compose(photometric, seed=int(rng.integers(2**31)))
        asked = replace(asked, image=transform(image=asked.image)["image"])

    letterbox = Letterbox.fit((asked.image.shape[1], asked.image.shape[0]), model_size)
    return asked, _smaller(letterbox, MOST_ZOOM**zoom, rng) if zoom < 0 else letterbox


def _permitted(config: AugmentationConfig, phrases: Sequence[str]) -> AugmentationConfig:
    """Of what may happen, what leaves these phrases true; `scale` then stands for making the picture larger."""
    whole = any(map(names_place, phrases))
    return AugmentationConfig(
        crop=config.crop and not whole,
        scale=config.scale and not whole,
        flip=config.flip and all(map(can_be_mirrored, phrases)),
        colour=config.colour and not any(map(names_colour, phrases)),
        blur=config.blur and not any(map(names_sharpness, phrases)),
    )


def _photometric(permitted: AugmentationConfig) -> list[A.BasicTransform]:
    """Transforms that move nothing."""
    transforms: list[A.BasicTransform] = []
    if permitted.colour:
        transforms.append(A.ColorJitter((0.7, 1.3), (0.7, 1.3), (0.6, 1.4), (-0.08, 0.08), p=OFTEN))
    if permitted.blur:
        blurs = [A.GaussianBlur((3, 5)), A.Sharpen((0.1, 0.4)), A.GaussNoise((0.02, 0.08))]
        transforms.append(A.OneOf(blurs, p=SELDOM))
    return transforms


def _kept(example: SetExample, phrases: Sequence[str]) -> np.ndarray:
    """(x1, y1, x2, y2) around all that a crop must keep.

    A phrase that ties its object to another one needs that one in the picture as well. Which of the annotated objects
    it is, nobody says, so all of them stay.
    """
    boxes = example.boxes_xyxy
    if any(map(names_another, phrases)):
        boxes = np.concatenate([boxes, np.array([r.box_xyxy for r in example.regions], np.float32).reshape(-1, 4)])
    return np.concatenate([boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)])


def _window(
    example: SetExample, phrases: Sequence[str], rng: np.random.Generator, *, crops: bool, zoom: float
) -> tuple[int, int, int, int]:
    """x1, y1, x2, y2 in whole pixels of a crop around all that it must keep.

    Each side takes a random share of what lies between the least and the whole picture, or all of it where `crops` is
    False. Then both are divided by the zoom, in [0, 1] as a power of the most that leaves everything in. So what must
    be kept seldom touches an edge, however large it is.
    """
    kept = _kept(example, phrases)
    shares = rng.uniform(0, 1, 2) if crops else np.ones(2)
    whole = np.array([example.image.shape[1], example.image.shape[0]])
    low = np.clip(np.floor(kept[:2]), 0, whole - 1).astype(int)
    high = np.clip(np.ceil(kept[2:]), low + 1, whole).astype(int)
    least = np.maximum(np.ceil(LEAST_SIDE * whole), high - low)
    cropped = least + shares * (whole - least)
    factor = min(MOST_ZOOM, float((cropped / (high - low)).min())) ** zoom
    length = np.clip(np.round(cropped / factor).astype(int), high - low, whole)
    start = rng.integers(np.maximum(0, high - length), np.minimum(low, whole - length) + 1)
    (x1, y1), (x2, y2) = start, start + length
    return int(x1), int(y1), int(x2), int(y2)


def _smaller(letterbox: Letterbox, zoom: float, rng: np.random.Generator) -> Letterbox:
    """The letterbox with its picture made smaller by `zoom` < 1 and put anywhere in it."""
    width, height = (max(1, math.floor(side * zoom)) for side in letterbox.content_size)
    left, top = (int(rng.integers(letterbox.model_size - side + 1)) for side in (width, height))
    return replace(letterbox, content_size=(width, height), offset=(left, top))


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
