"""Training batches: letterboxed images with some of their phrases, the same for the same seed, epoch and index."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from grounding.data.composed import composed_expressions
from grounding.data.mirrored import can_be_mirrored, mirrored_phrase
from grounding.data.refcocog import RefCOCOg
from grounding.data.transforms import UNCHANGED, AugmentationConfig, augment
from grounding.types import Expression

COMPOSED_POOL = 2  # composed phrases kept per image for each one drawn in an epoch


@dataclass(frozen=True)
class TrainingBatch:
    """B letterboxed images and P phrases about them.

    Attributes:
        squares: (B, S, S, 3) uint8 RGB.
        valid: (B, S / 4, S / 4) bool, False on letterbox padding.
        phrases: P phrases.
        boxes_xyxy: (P, 4) float32 in model pixels.
        image_index: (P,) int64, the image of each phrase.
        region_ids: (P,) int64, equal where two phrases refer to the same annotated object.
    """

    squares: Tensor
    valid: Tensor
    phrases: list[str]
    boxes_xyxy: Tensor
    image_index: Tensor
    region_ids: Tensor


@dataclass(frozen=True)
class TrainingItem:
    """One image's part of a `TrainingBatch`, as arrays."""

    square: np.ndarray
    valid: np.ndarray
    phrases: list[str]
    boxes_xyxy: np.ndarray
    region_ids: list[int]


class TrainingItems(Dataset[TrainingItem]):
    """A data set's images, letterboxed, each with a random few of its phrases.

    Args:
        dataset: grouped by image.
        model_size: side of the letterbox in pixels.
        stride: model pixels per cell of the `valid` masks.
        phrases_per_image: at most so many are drawn in an epoch.
        composed_per_image: so many phrases composed from annotations are drawn beside them.
        augmentation: what happens to images at random, where the phrases drawn permit it.
        seed: together with the epoch and the index, of all draws.
    """

    def __init__(
        self,
        dataset: RefCOCOg,
        *,
        model_size: int,
        stride: int,
        phrases_per_image: int,
        composed_per_image: int = 0,
        augmentation: AugmentationConfig = UNCHANGED,
        seed: int,
    ) -> None:
        self.dataset, self.model_size, self.stride = dataset, model_size, stride
        self.phrases_per_image, self.seed = phrases_per_image, seed
        self.augmentation = augmentation
        self.epoch = 0
        self.composed_per_image = composed_per_image
        self._composed: dict[int, list[Expression]] = {}
        if composed_per_image:
            pool = composed_expressions(
                dataset.expressions, dataset.regions, per_image=COMPOSED_POOL * composed_per_image, seed=seed
            )
            for expression in pool:
                self._composed.setdefault(expression.image_id, []).append(expression)

    @property
    def composed(self) -> list[Expression]:
        """All composed expressions that may be drawn."""
        return [expression for of_image in self._composed.values() for expression in of_image]

    @property
    def phrases(self) -> set[str]:
        """All phrases that may be drawn, in any epoch: where images are mirrored, the mirrored ones too."""
        written = {expression.phrase for expression in (*self.dataset.expressions, *self.composed)}
        if not self.augmentation.flip:
            return written
        return written | {mirrored_phrase(phrase) for phrase in written if can_be_mirrored(phrase)}

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> TrainingItem:
        rng = np.random.default_rng([self.seed, self.epoch, index])
        example = self.dataset[index]
        annotated = len(example.expressions)
        composed = self._composed.get(example.expressions[0].image_id, [])
        example = replace(example, expressions=(*example.expressions, *composed))
        drawn = rng.permutation(annotated)[: self.phrases_per_image]
        drawn_composed = annotated + rng.permutation(len(composed))[: self.composed_per_image]
        chosen = np.sort(np.concatenate([drawn, drawn_composed])).tolist()
        asked, letterbox = augment(example, chosen, self.augmentation, model_size=self.model_size, rng=rng)
        return TrainingItem(
            square=letterbox.apply(asked.image),
            valid=letterbox.valid_mask(self.stride),
            phrases=asked.phrases,
            boxes_xyxy=letterbox.boxes_to_model(asked.boxes_xyxy),
            region_ids=[expression.ann_id for expression in asked.expressions],
        )


def collate(items: Sequence[TrainingItem]) -> TrainingBatch:
    """The items as one batch."""
    counts = torch.tensor([len(item.phrases) for item in items])
    return TrainingBatch(
        squares=torch.from_numpy(np.stack([item.square for item in items])),
        valid=torch.from_numpy(np.stack([item.valid for item in items])),
        phrases=[phrase for item in items for phrase in item.phrases],
        boxes_xyxy=torch.from_numpy(np.concatenate([item.boxes_xyxy for item in items])),
        image_index=torch.repeat_interleave(torch.arange(len(items)), counts),
        region_ids=torch.tensor([region for item in items for region in item.region_ids]),
    )
