"""Training batches: letterboxed images with some of their phrases, the same for the same seed, epoch and index."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from grounding.data.augment import AugmentationConfig, augment
from grounding.data.augmentation_rules import can_be_mirrored, mirrored_phrase
from grounding.data.dataset import GroundingDataset
from grounding.data.relations import composed_expressions
from grounding.data.supervision import as_set, without_boxes
from grounding.geometry import Letterbox
from grounding.types import Example, Expression, SetExample, SetExpression

COMPOSED_POOL = 2  # composed phrases kept per image for each one drawn in an epoch


@dataclass(frozen=True, eq=False)
class TrainingBatch:
    """B letterboxed images and P phrases about them.

    Attributes:
        squares: (B, S, S, 3) uint8 RGB.
        valid: (B, S / stride, S / stride) bool, False on letterbox padding.
        image_ids: (B,) int64.
        phrases: P phrases.
        boxes_xyxy: (N, 4) float32 in model pixels, phrase by phrase; NaN where images are used without their boxes.
        box_counts: (P,) int64, how many of these each phrase has: as many as it names objects, which may be none.
        image_index: (P,) int64, the image of each phrase.
        region_ids: (P,) int64, equal where two phrases are known to refer to the same annotated object.
    """

    squares: Tensor
    valid: Tensor
    image_ids: Tensor
    phrases: list[str]
    boxes_xyxy: Tensor
    box_counts: Tensor
    image_index: Tensor
    region_ids: Tensor

    def described(self) -> dict[str, list[int] | list[str]]:
        """What a reader needs to find the batch again: the ids of its images, and its phrases."""
        return {"image_ids": self.image_ids.tolist(), "phrases": self.phrases}


class TrainingItems(Dataset[TrainingBatch]):
    """A data set's images, letterboxed, each with a random few of its phrases, as a batch of one image.

    Args:
        dataset: grouped by image.
        model_size: side of the letterbox in pixels.
        stride: model pixels per cell of the `valid` masks.
        phrases_per_image: at most so many are drawn in an epoch, of as many different objects as there are.
        composed_per_image: so many phrases composed from annotations are drawn beside them.
        sets: image id -> expressions that name several objects or none, of which `sets_per_image` are drawn as well.
        boxed: whether boxes are used; else none leaves this class, and nothing is composed of any.
        augmentation: what happens to images at random, where the phrases drawn permit it.
        seed: together with the `epoch` that comes next and the index, of all draws.
    """

    def __init__(
        self,
        dataset: GroundingDataset,
        *,
        model_size: int,
        stride: int,
        phrases_per_image: int,
        composed_per_image: int = 0,
        sets: Mapping[int, Sequence[SetExpression]] | None = None,
        sets_per_image: int = 0,
        boxed: bool = True,
        augmentation: AugmentationConfig = AugmentationConfig(),  # noqa: B008 (frozen)
        seed: int,
    ) -> None:
        self.dataset, self.model_size, self.stride = dataset, model_size, stride
        self.phrases_per_image, self.composed_per_image = phrases_per_image, composed_per_image
        self.sets_per_image = sets_per_image
        self.augmentation, self.seed = augmentation, seed
        self.epoch = 0
        self.boxed = boxed
        self._composed: dict[int, list[Expression]] = {}  # by image id
        image_ids = {expression.image_id for expression in dataset.expressions}
        self._sets = {image_id: list(of_image) for image_id, of_image in (sets or {}).items() if image_id in image_ids}
        if composed_per_image and boxed:
            pool = COMPOSED_POOL * composed_per_image
            for expression in composed_expressions(dataset.expressions, dataset.regions, per_image=pool, seed=seed):
                self._composed.setdefault(expression.image_id, []).append(expression)

    @property
    def composed(self) -> list[Expression]:
        """All composed expressions that may be drawn."""
        return [expression for of_image in self._composed.values() for expression in of_image]

    @property
    def phrases(self) -> set[str]:
        """All phrases that may be drawn, in any epoch: where images are mirrored, the mirrored ones too."""
        of_sets = [expression.phrase for of_image in self._sets.values() for expression in of_image]
        written = {expression.phrase for expression in (*self.dataset.expressions, *self.composed)} | set(of_sets)
        if not self.augmentation.flip:
            return written
        return written | {mirrored_phrase(phrase) for phrase in written if can_be_mirrored(phrase)}

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> TrainingBatch:
        return self.item_of(self.dataset[index], index)

    def item_of(self, example: Example, *place: int) -> TrainingBatch:
        """What is drawn of an image with its expressions, by its place in the epoch."""
        annotated = example if self.boxed else without_boxes(example)
        image_id = annotated.expressions[0].image_id
        named = list(map(as_set, annotated.expressions))
        composed, sets = list(map(as_set, self._composed.get(image_id, ()))), self._sets.get(image_id, [])

        # One generator for all draws of the item: their order is part of what a seed means.
        rng = np.random.default_rng([self.seed, self.epoch, *place])
        drawn = [
            self._draw(_region_ids(named, self.boxed), rng),
            len(named) + rng.permutation(len(composed))[: self.composed_per_image],
            len(named) + len(composed) + rng.permutation(len(sets))[: self.sets_per_image],
        ]
        chosen = np.sort(np.concatenate(drawn)).tolist()
        complete = SetExample(annotated.image, (*named, *composed, *sets), annotated.regions)
        asked = augment(complete, chosen, self.augmentation, rng=rng)

        letterbox = Letterbox.fit((asked.image.shape[1], asked.image.shape[0]), self.model_size)
        boxes = letterbox.boxes_to_model(asked.boxes_xyxy)
        return TrainingBatch(
            squares=torch.from_numpy(letterbox.apply(asked.image))[None],
            valid=torch.from_numpy(letterbox.valid_mask(self.stride))[None],
            image_ids=torch.tensor([image_id]),
            phrases=asked.phrases,
            boxes_xyxy=torch.from_numpy(boxes if self.boxed else np.full_like(boxes, np.nan)),
            box_counts=torch.tensor([len(each.boxes_xyxy) for each in asked.expressions]),
            image_index=torch.zeros(len(asked.expressions), dtype=torch.int64),
            region_ids=torch.tensor(_region_ids(asked.expressions, self.boxed)),
        )

    def _draw(self, region_ids: Sequence[int], rng: np.random.Generator) -> np.ndarray:
        """Indices of expressions at random: one of every region first, for regions are each other's negatives."""
        order = rng.permutation(len(region_ids))
        _, first = np.unique(np.array(region_ids)[order], return_index=True)
        later = np.setdiff1d(np.arange(len(order)), first)
        return order[np.concatenate([np.sort(first), later])][: self.phrases_per_image]


def _region_ids(expressions: Sequence[SetExpression], boxed: bool) -> list[int]:
    """Equal where two expressions are known to be of one object, which without boxes none are; of those for several
    objects or none no loss asks."""
    return [each.ann_ids[0] if boxed and len(each.ann_ids) == 1 else -1 - each.sent_id for each in expressions]


def collate(items: Sequence[TrainingBatch]) -> TrainingBatch:
    """Batches of one image each as one batch."""
    return TrainingBatch(
        squares=torch.cat([item.squares for item in items]),
        valid=torch.cat([item.valid for item in items]),
        image_ids=torch.cat([item.image_ids for item in items]),
        phrases=[phrase for item in items for phrase in item.phrases],
        boxes_xyxy=torch.cat([item.boxes_xyxy for item in items]),
        box_counts=torch.cat([item.box_counts for item in items]),
        image_index=torch.cat([item.image_index + position for position, item in enumerate(items)]),
        region_ids=torch.cat([item.region_ids for item in items]),
    )
