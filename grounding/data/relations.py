"""How one box stands to another (left, right, above, below, near), the words for it, and phrases composed of them.

Few expressions of a data set place an object by another one, and a model trained on few learns to look at either.
Boxes and categories say where objects stand, so such phrases can be written by rule, in the manner of Pseudo-Q (Jiang
et al. 2022, section 3.2), here around phrases that people wrote: "the <category> left of <an annotator's phrase for
another object>". Only what is true of a single object is said.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

import numpy as np

from grounding.types import Expression, Region

CONNECTORS = {
    "left": ("left of", "to the left of", "on the left side of"),
    "right": ("right of", "to the right of", "on the right side of"),
    "above": ("above", "over"),
    "below": ("below", "under", "beneath"),
    "near": ("next to", "beside", "close to"),
}

# The words that tie an object to another one in RefCOCOg's expressions. A preposition such as "in" or "with" mostly
# goes with clothes and parts, so it does not count.
RELATION_WORDS = frozenset({
    "above", "over", "below", "under", "beneath", "underneath", "beside", "behind", "between", "near", "nearest",
    "closest", "next", "against", "facing", "surrounded", "holding", "riding", "leading", "following",
})  # fmt: skip
RELATION_PHRASES = ("left of", "right of", "in front of", "on top of", "close to", "to the left", "to the right")


def relates(phrase: str) -> bool:
    """Whether a phrase ties its object to another one, by one of `RELATION_WORDS` or `RELATION_PHRASES`."""
    words = re.findall(r"[\w']+", phrase.lower())
    spoken = f" {' '.join(words)} "
    return not RELATION_WORDS.isdisjoint(words) or any(f" {each} " in spoken for each in RELATION_PHRASES)


def stands(relation: str, box_xyxy: Sequence[float], anchor_xyxy: Sequence[float], *, strictly: bool) -> bool:
    """Whether a box stands in `relation` ("left", "right", "above", "below" or "near") to an anchor's box.

    Strictly, nobody would object: for a direction, the centres differ more along it than across it and by over half
    of the mean side (of boxes that barely overlap, they then never overlap along it by more than half of the smaller
    one); for "near", the gap between the boxes, along x or y, whichever is wider, is under a quarter of the mean side.
    Not strictly, somebody might still say so: the centre lies on that side at all; the gap is under seven tenths.
    """
    (x1, y1, x2, y2), (anchor_x1, anchor_y1, anchor_x2, anchor_y2) = box_xyxy, anchor_xyxy
    side = (x2 - x1 + y2 - y1 + anchor_x2 - anchor_x1 + anchor_y2 - anchor_y1) / 4
    if relation == "near":
        across = max(x1, anchor_x1) - min(x2, anchor_x2)
        down = max(y1, anchor_y1) - min(y2, anchor_y2)
        return max(across, down, 0) < (0.25 if strictly else 0.7) * side
    rightwards, downwards = (x1 + x2 - anchor_x1 - anchor_x2) / 2, (y1 + y2 - anchor_y1 - anchor_y2) / 2
    along, across = {
        "left": (-rightwards, downwards),
        "right": (rightwards, downwards),
        "above": (-downwards, rightwards),
        "below": (downwards, rightwards),
    }[relation]
    return along > max(abs(across), 0.5 * side) if strictly else along > 0


def composed_expressions(
    expressions: Sequence[Expression], regions: Mapping[int, Sequence[Region]], *, per_image: int, seed: int
) -> list[Expression]:
    """Composed expressions, so many drawn of each image's possible ones, with negative sent_id and tag "composed"."""
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
