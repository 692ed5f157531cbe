"""Items drawn for training: from RefShapes with everything switched on, or from a scene of one's own."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import fields
from pathlib import Path

import numpy as np

from grounding.data.augment import AugmentationConfig
from grounding.data.batches import TrainingItem, TrainingItems
from grounding.data.refcocog import RefCOCOg
from grounding.types import Example, Expression, Region

ALL = AugmentationConfig(flip=True)


def same(first: TrainingItem, second: TrainingItem) -> bool:
    """Equal in every field; the boxes that are nowhere are equal too."""
    values = ((getattr(first, each.name), getattr(second, each.name)) for each in fields(TrainingItem))
    return all(
        np.array_equal(one, other, equal_nan=one.dtype.kind == "f") if isinstance(one, np.ndarray) else one == other
        for one, other in values
    )


def ids_of(dataset: RefCOCOg) -> list[int]:
    return [dataset.expressions_of(index)[0].image_id for index in range(len(dataset))]


def with_everything(dataset: RefCOCOg, *, boxed: bool) -> TrainingItems:
    """All augmentation, and composed phrases."""
    return TrainingItems(dataset, model_size=64, stride=4, phrases_per_image=3, composed_per_image=2,
                         boxed=boxed, augmentation=ALL, seed=0)  # fmt: skip


def drawn(items: TrainingItems, epochs: int = 3) -> list[TrainingItem]:
    found = []
    for items.epoch in range(epochs):
        found.extend(items[slot] for slot in range(len(items)))
    return found


class Scene:
    """A data set for phrases of one's own: a grey image with (object, phrase) each, and another with phrases."""

    def __init__(self, said: list[tuple[int, str]], elsewhere: Collection[str] = ()) -> None:
        self._examples = [
            self._example(1, said),
            self._example(2, [(100 + i, phrase) for i, phrase in enumerate(elsewhere)] or [(100, "nothing")]),
        ]
        self.expressions = [each for example in self._examples for each in example.expressions]
        self.regions: dict[int, tuple[Region, ...]] = {1: (), 2: ()}

    @staticmethod
    def _example(image_id: int, said: list[tuple[int, str]]) -> Example:
        expressions = tuple(
            Expression(phrase, (4.0, 4.0, 20.0, 20.0), image_id, ann, ann, 1000 * image_id + i, Path("none.png"))
            for i, (ann, phrase) in enumerate(said)
        )
        return Example(np.full((40, 40, 3), 90, np.uint8), expressions)

    def __len__(self) -> int:
        return len(self._examples)

    def __getitem__(self, index: int) -> Example:
        return self._examples[index]

    def expressions_of(self, index: int) -> tuple[Expression, ...]:
        return self._examples[index].expressions

    def check_images(self) -> None:
        pass
