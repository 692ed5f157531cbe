"""Expressions for any number of objects, made of those for one: themselves, and phrases that fit nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from torch.utils.data import Dataset

from grounding.data.refcocog import RefCOCOg
from grounding.types import Expression, Region, SetExample, SetExpression

MOST_TRIES = 20  # for an image: where it holds nearly every category, hardly any phrase is of another


def as_set(expression: Expression) -> SetExpression:
    """An expression for one object as one of those for any number."""
    return SetExpression(expression.phrase, (expression.box_xyxy,), (expression.ann_id,), expression.image_id,
                         expression.ref_id, expression.sent_id, expression.image_path, expression.tags)  # fmt: skip


def absent_expressions(
    expressions: Sequence[Expression], regions: Mapping[int, Sequence[Region]], *, seed: int
) -> dict[int, SetExpression]:
    """For each image a phrase of another image, about an object of a category that this one has no object of.

    Args:
        expressions: of a split.
        regions: image id -> every annotated object of the image, with categories.
        seed: together with the image id, of the draw.

    Returns:
        Image id -> expression without a box; of an image for which none was found, nothing.
    """
    named = [expression for expression in expressions if expression.category]
    found: dict[int, SetExpression] = {}
    for image_id, path in {each.image_id: each.image_path for each in named}.items():
        rng = np.random.default_rng([seed, image_id])
        here = {region.category for region in regions[image_id]}
        drawn = (named[index] for index in rng.integers(len(named), size=MOST_TRIES))
        other = next((each for each in drawn if each.category not in here), None)
        if other is not None:
            found[image_id] = SetExpression(other.phrase, (), (), image_id, -other.ref_id, -1 - other.sent_id, path)
    return found


class WithAbsent(Dataset[SetExample]):
    """A data set's images with their expressions and, where one is found, a phrase of another image.

    Args:
        dataset: grouped by image.
        seed: of the draw, as for `absent_expressions`.

    Attributes:
        split: the data set's.
    """

    def __init__(self, dataset: RefCOCOg, *, seed: int) -> None:
        self._dataset = dataset
        self._absent = absent_expressions(dataset.expressions, dataset.regions, seed=seed)
        self.split = dataset.split

    def __len__(self) -> int:
        return len(self._dataset)

    def __getitem__(self, index: int) -> SetExample:
        """The example with its image decoded.

        Raises:
            InputError: the image cannot be read.
        """
        example = self._dataset[index]
        absent = self._absent.get(example.expressions[0].image_id)
        expressions = (*map(as_set, example.expressions), *([absent] if absent else []))
        return SetExample(example.image, expressions, example.regions)
