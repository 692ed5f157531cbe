"""Augmentation that moves boxes with pixels and leaves every phrase true."""

from __future__ import annotations

import os

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # importing it would otherwise look for a newer version online

import albumentations as A
import numpy as np

from grounding.types import Example


def augmentation() -> A.Compose:
    """Crops that keep all boxes, and changes of light and sharpness.

    Neither mirroring nor a change of hue is among them: "left" and "red" must stay true.
    """
    return A.Compose(
        [
            A.BBoxSafeRandomCrop(erosion_rate=0.0, p=0.5),
            A.RandomBrightnessContrast(0.2, 0.2, p=0.5),
            A.OneOf([A.GaussianBlur((3, 5)), A.GaussNoise((0.02, 0.08))], p=0.2),
        ],
        bbox_params=A.BboxParams(format="pascal_voc", label_fields=["order"], min_area=0, min_visibility=0),
    )


def augment(example: Example, transform: A.Compose, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """An example's image and boxes, transformed.

    Args:
        example: what to transform.
        transform: from `augmentation`.
        seed: the same seed gives the same result.

    Returns:
        image (H', W', 3) uint8 RGB and boxes_xyxy (N, 4) float32 in its pixels, in the order of the expressions.
    """
    height, width = example.image.shape[:2]
    boxes = example.boxes_xyxy.clip(0, np.array([width, height, width, height], dtype=np.float32))
    transform.set_random_seed(seed)
    out = transform(image=example.image, bboxes=boxes, order=np.arange(len(boxes)))
    moved = boxes.copy()
    moved[np.asarray(out["order"], dtype=int)] = np.asarray(out["bboxes"], dtype=np.float32).reshape(-1, 4)
    return out["image"], moved
