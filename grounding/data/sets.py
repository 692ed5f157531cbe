"""Expressions for any number of objects, made of those for one: themselves, and phrases that fit nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np
from torch.utils.data import Dataset

from grounding.data.dataset import GroundingDataset
from grounding.types import Expression, Region, SetExample, SetExpression

TRIES = 20  # draws for each absent phrase: where an image holds nearly every category, few phrases are of another


def as_set(expression: Expression) -> SetExpression:
    """An expression for one object as one of those for any number."""
    return SetExpression(expression.phrase, (expression.box_xyxy,), (expression.ann_id,), expression.image_id,
                         expression.ref_id, expression.sent_id, expression.image_path, expression.tags)  # fmt: skip


def absent_expressions(
    expressions: Sequence[Expression], regions: Mapping[int, Sequence[Region]], *, seed: int, per_image: int = 1
) -> dict[int, list[SetExpression]]:
    """For each image phrases of other images that fit nothing in it.

    A phrase says that nothing fits only if it names what it is about: "the left one" fits something nearly everywhere.
    So those are taken that contain the name of their object's category, and no object of the image is of it.

    Args:
        expressions: of a split.
        regions: image id -> every annotated object of the image, with categories.
        seed: together with the image id, of the draw.
        per_image: at most so many.

    Returns:
        Image id -> expressions without a box, where some were found.
    """
    naming = [each for each in expressions if each.category and _names(each.phrase, each.category)]
    found: dict[int, list[SetExpression]] = {}
    if not naming:
        return found
    for image_id, path in {each.image_id: each.image_path for each in expressions}.items():
        here = {region.category for region in regions[image_id]}
        rng = np.random.default_rng([seed, image_id])
        drawn = (naming[index] for index in rng.integers(len(naming), size=TRIES * per_image))
        others = [each for each in drawn if each.category not in here][:per_image]
        if others:
            found[image_id] = [
                SetExpression(each.phrase, (), (), image_id, each.ref_id, each.sent_id, path) for each in others
            ]
    return found


def _names(phrase: str, category: str) -> bool:
    """Whether a phrase contains the words of a category, in the singular."""
    return re.search(rf"\b{re.escape(category.lower())}\b", phrase.lower()) is not None


class WithAbsent(Dataset[SetExample]):
    """A data set's images, by which it is grouped, with their expressions and, where one is found, an absent one."""

    def __init__(self, dataset: GroundingDataset, *, seed: int) -> None:
        self._dataset = dataset
        self.absent = absent_expressions(dataset.expressions, dataset.regions, seed=seed)

    def __len__(self) -> int:
        return len(self._dataset)

    def __getitem__(self, index: int) -> SetExample:
        example = self._dataset[index]
        absent = self.absent.get(example.expressions[0].image_id, ())
        return SetExample(example.image, (*map(as_set, example.expressions), *absent))
