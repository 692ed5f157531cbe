"""Training batches: letterboxed images with some of their phrases, the same for the same seed, epoch and index."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from grounding.data.composed import composed_expressions
from grounding.data.features import SIZE, StoredFeatures, as_features
from grounding.data.mirrored import can_be_mirrored, mirrored_phrase
from grounding.data.one_word_apart import OneWordApart
from grounding.data.supervision import Supervised, without_boxes
from grounding.data.transforms import UNCHANGED, AugmentationConfig, augment
from grounding.dense_clip import DenseFeatures
from grounding.types import Example, Expression

COMPOSED_POOL = 2  # composed phrases kept per image for each one drawn in an epoch


@dataclass(frozen=True)
class TrainingBatch:
    """B letterboxed images and P phrases about them.

    Attributes:
        squares: (B, S, S, 3) uint8 RGB; S is 0 where features come instead and nothing else looks at pixels.
        valid: (B, S / stride, S / stride) bool, False on letterbox padding.
        image_ids: (B,) int64.
        phrases: P phrases.
        boxes_xyxy: (P, 4) float32 in model pixels; NaN where the image is used without its boxes.
        boxed: (P,) bool, whether there is a box.
        image_index: (P,) int64, the image of each phrase.
        region_ids: (P,) int64, equal where two phrases are known to refer to the same annotated object.
        wrong_phrases: N phrases, each one word apart from one of the P and not said of its object.
        wrong_index: (N,) int64, from which.
        features: of the images, float16, where they are stored.
    """

    squares: Tensor
    valid: Tensor
    image_ids: Tensor
    phrases: list[str]
    boxes_xyxy: Tensor
    boxed: Tensor
    image_index: Tensor
    region_ids: Tensor
    wrong_phrases: list[str]
    wrong_index: Tensor
    features: DenseFeatures | None = None

    def described(self) -> dict[str, list[int] | list[str]]:
        """What a reader needs to find the batch again: the ids of its images, and its phrases."""
        return {"image_ids": self.image_ids.tolist(), "phrases": self.phrases}


@dataclass(frozen=True)
class TrainingItem:
    """One image's part of a `TrainingBatch`, as arrays; `wrong[i]` are the wrong phrases for phrase i.

    `features` is the image's record, where there is one.
    """

    square: np.ndarray
    valid: np.ndarray
    image_id: int
    phrases: list[str]
    boxes_xyxy: np.ndarray
    boxed: bool
    region_ids: list[int]
    wrong: list[list[str]]
    features: np.ndarray | None = None


class TrainingItems(Dataset[TrainingItem]):
    """A data set's images, letterboxed, each with a random few of its phrases.

    Args:
        dataset: grouped by image.
        model_size: side of the letterbox in pixels.
        stride: model pixels per cell of the `valid` masks.
        phrases_per_image: at most so many are drawn in an epoch, of as many different objects as there are.
        composed_per_image: so many phrases composed from annotations are drawn beside them, where there are boxes.
        wrong_per_phrase: so many phrases one word apart are drawn for every phrase.
        boxed: ids of the images whose boxes are used; None for all. Of the others, no box leaves this class.
        augmentation: what happens to images at random, where the phrases drawn permit it.
        features: of the images as they are, in the order of `dataset`; then no image is read, nor may it change.
        pixels: whether images are read although there are features of them.
        seed: together with the epoch and the index, of all draws.
    """

    def __init__(
        self,
        dataset: Supervised,
        *,
        model_size: int,
        stride: int,
        phrases_per_image: int,
        composed_per_image: int = 0,
        wrong_per_phrase: int = 0,
        boxed: Collection[int] | None = None,
        augmentation: AugmentationConfig = UNCHANGED,
        features: StoredFeatures | None = None,
        pixels: bool = False,
        seed: int,
    ) -> None:
        self.dataset, self.model_size, self.stride = dataset, model_size, stride
        self.phrases_per_image, self.seed = phrases_per_image, seed
        self.augmentation = augmentation
        self.features, self._reads = features, pixels or features is None
        self.epoch = 0
        self.composed_per_image = composed_per_image
        image_ids = np.array([dataset.expressions_of(index)[0].image_id for index in range(len(dataset))])
        self._boxed = np.ones(len(dataset), bool) if boxed is None else np.isin(image_ids, sorted(boxed))
        self._composed: dict[int, list[Expression]] = {}
        if composed_per_image:
            known = set(image_ids[self._boxed].tolist())
            pool = composed_expressions(
                [each for each in dataset.expressions if each.image_id in known],
                dataset.regions,
                per_image=COMPOSED_POOL * composed_per_image,
                seed=seed,
            )
            for expression in pool:
                self._composed.setdefault(expression.image_id, []).append(expression)
        self.wrong_per_phrase = wrong_per_phrase
        self._one_word_apart = OneWordApart(sorted(self._written)) if wrong_per_phrase else None

    @property
    def composed(self) -> list[Expression]:
        """All composed expressions that may be drawn."""
        return [expression for of_image in self._composed.values() for expression in of_image]

    @property
    def _written(self) -> set[str]:
        return {expression.phrase for expression in (*self.dataset.expressions, *self.composed)}

    @property
    def phrases(self) -> set[str]:
        """All phrases that may be drawn, in any epoch: where images are mirrored, the mirrored ones too."""
        written = self._written
        if not self.augmentation.flip:
            return written
        return written | {mirrored_phrase(phrase) for phrase in written if can_be_mirrored(phrase)}

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, slot: int) -> TrainingItem:
        rng = np.random.default_rng([self.seed, self.epoch, slot])
        index = self._image_of(slot)
        boxed = bool(self._boxed[index])
        record = None if self.features is None else self.features[index]
        example = self.dataset[index] if record is None or self._reads else self._unread(index, record[SIZE])
        example = example if boxed else without_boxes(example)
        image_id = example.expressions[0].image_id
        annotated = len(example.expressions)
        composed = self._composed.get(image_id, []) if boxed else []
        example = replace(example, expressions=(*example.expressions, *composed))
        drawn = self._draw([each.ann_id if boxed else -each.sent_id for each in example.expressions[:annotated]], rng)
        drawn_composed = annotated + rng.permutation(len(composed))[: self.composed_per_image]
        chosen = np.sort(np.concatenate([drawn, drawn_composed])).tolist()
        asked, letterbox = augment(example, chosen, self.augmentation, model_size=self.model_size, rng=rng)
        boxes = letterbox.boxes_to_model(asked.boxes_xyxy)
        return TrainingItem(
            square=letterbox.apply(asked.image) if self._reads else np.zeros((0, 0, 3), np.uint8),
            valid=letterbox.valid_mask(self.stride),
            image_id=image_id,
            phrases=asked.phrases,
            boxes_xyxy=boxes if boxed else np.full_like(boxes, np.nan),
            boxed=boxed,
            region_ids=[each.ann_id if boxed else -1 - each.sent_id for each in asked.expressions],
            wrong=[self._wrong(example, original, each.phrase, boxed, rng)
                   for original, each in zip(chosen, asked.expressions, strict=True)],
            features=record,
        )  # fmt: skip

    def _unread(self, index: int, size: np.ndarray) -> Example:
        """The example with one black pixel spread over the image's size, which is all that is looked at."""
        expressions = self.dataset.expressions_of(index)
        blank = np.broadcast_to(np.uint8(0), (size[1], size[0], 3))
        return Example(blank, expressions, tuple(self.dataset.regions[expressions[0].image_id]))

    def _image_of(self, slot: int) -> int:
        """Image after image; but where boxes are few, they come up in half of the slots."""
        with_boxes, without = np.flatnonzero(self._boxed), np.flatnonzero(~self._boxed)
        half = len(self) // 2
        if not 0 < len(with_boxes) < half:
            return slot
        pool, slots, place = (with_boxes, half, slot) if slot < half else (without, len(self) - half, slot - half)
        return int(pool[(place + self.epoch * slots) % len(pool)])

    def _draw(self, objects: Sequence[int], rng: np.random.Generator) -> np.ndarray:
        """Indices of expressions at random: one of every object first, for objects are each other's negatives."""
        order = rng.permutation(len(objects))
        _, first = np.unique(np.array(objects)[order], return_index=True)
        later = np.setdiff1d(np.arange(len(order)), first)
        return order[np.concatenate([np.sort(first), later])][: self.phrases_per_image]

    def _wrong(self, example: Example, index: int, asked: str, boxed: bool, rng: np.random.Generator) -> list[str]:
        """Wrong phrases for expression `index`, which is asked as `asked`; mirrored where that is."""
        if self._one_word_apart is None:
            return []
        said_of = example.expressions[index]
        true = {each.phrase for each in example.expressions if not boxed or each.ann_id == said_of.ann_id}
        if self.augmentation.flip and mirrored_phrase(said_of.phrase) == said_of.phrase:
            # The picture may be mirrored or not: what is said of the object then is not known, only both together.
            true |= {mirrored_phrase(phrase) for phrase in true if can_be_mirrored(phrase)}
        wrong = self._one_word_apart.draw(said_of.phrase, self.wrong_per_phrase, but=true, rng=rng)
        if asked == said_of.phrase:
            return wrong
        return [mirrored_phrase(phrase) for phrase in wrong if can_be_mirrored(phrase)]


def collate(items: Sequence[TrainingItem]) -> TrainingBatch:
    """The items as one batch."""
    counts = torch.tensor([len(item.phrases) for item in items])
    wrong = [phrases for item in items for phrases in item.wrong]
    records = [item.features for item in items if item.features is not None]
    return TrainingBatch(
        squares=torch.from_numpy(np.stack([item.square for item in items])),
        valid=torch.from_numpy(np.stack([item.valid for item in items])),
        image_ids=torch.tensor([item.image_id for item in items]),
        phrases=[phrase for item in items for phrase in item.phrases],
        boxes_xyxy=torch.from_numpy(np.concatenate([item.boxes_xyxy for item in items])),
        boxed=torch.repeat_interleave(torch.tensor([item.boxed for item in items]), counts),
        image_index=torch.repeat_interleave(torch.arange(len(items)), counts),
        region_ids=torch.tensor([region for item in items for region in item.region_ids]),
        wrong_phrases=[phrase for phrases in wrong for phrase in phrases],
        wrong_index=torch.repeat_interleave(
            torch.arange(len(wrong)), torch.tensor([len(phrases) for phrases in wrong])
        ),
        features=as_features(records) if records else None,
    )
