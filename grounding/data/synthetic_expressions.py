"""Relational phrases composed from annotations: "the <category> left of <an annotator's phrase for another object>".

Few expressions of a data set place an object by another one, and a model trained on few learns to look at either.
Boxes and categories say where objects stand, so such phrases can be written by rule, in the manner of Pseudo-Q (Jiang
et al. 2022, section 3.2), here around phrases that people wrote. Only what is true of a single object is said.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

import numpy as np

from grounding.data.relations import CONNECTORS, relates, stands
from grounding.types import Expression, Region


def composed_expressions(
    expressions: Sequence[Expression], regions: Mapping[int, Sequence[Region]], *, per_image: int, seed: int
) -> list[Expression]:
    """Composed expressions for the images of a split, at most `per_image` each.

    Args:
        expressions: of the split; those of an image stand together or not.
        regions: image id -> every annotated object of the image, with categories.
        per_image: how many to draw among all that can be composed of an image.
        seed: together with the image id, of the draw.

    Returns:
        Expressions with negative sent_id and the tag "composed".
    """
    composed: list[Expression] = []
    by_image = sorted(expressions, key=lambda each: each.image_id)
    for image_id, group in groupby(by_image, key=lambda each: each.image_id):
        rng = np.random.default_rng([seed, image_id])
        possible = list(_relations(list(group), regions[image_id]))
        for index in rng.permutation(len(possible))[:per_image]:
            target, relation, anchor = possible[index]
            connector = CONNECTORS[relation][rng.integers(len(CONNECTORS[relation]))]
            composed.append(
                Expression(
                    phrase=f"the {target.category} {connector} {_with_article(anchor.phrase)}",
                    box_xyxy=target.box_xyxy,
                    image_id=image_id,
                    ref_id=-target.ann_id,
                    ann_id=target.ann_id,
                    sent_id=-len(composed) - 1,
                    image_path=anchor.image_path,
                    category=target.category,
                    tags=("composed",),
                )
            )
    return composed


def _relations(
    expressions: Sequence[Expression], regions: Sequence[Region]
) -> Iterator[tuple[Region, str, Expression]]:
    """Every (object, relation, phrase of the anchor) that is true and fits no other object of the same category."""
    for anchor in expressions:
        if relates(anchor.phrase):
            continue
        for target in regions:
            if target.ann_id == anchor.ann_id or not target.category:
                continue
            rivals = [
                region
                for region in regions
                if region.category == target.category and region.ann_id not in (target.ann_id, anchor.ann_id)
            ]
            for relation in CONNECTORS:
                if stands(relation, target.box_xyxy, anchor.box_xyxy, strictly=True) and not any(
                    stands(relation, rival.box_xyxy, anchor.box_xyxy, strictly=False) for rival in rivals
                ):
                    yield target, relation, anchor


def _with_article(phrase: str) -> str:
    return phrase if phrase.lower().startswith(("the ", "a ", "an ")) else f"the {phrase}"
