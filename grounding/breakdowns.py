"""Kinds of expressions to look at apart: by what the phrase says, the object's size, and what stands around it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from grounding.types import Expression, Region

# The words for a place in the picture, and those that tie the object to another one, in RefCOCOg's expressions. A
# preposition such as "in" or "with" mostly goes with clothes and parts, so it counts as neither.
LOCATION_WORDS = frozenset({
    "left", "right", "top", "bottom", "upper", "lower", "middle", "center", "centre", "leftmost", "rightmost",
    "corner", "side", "edge", "far", "foreground", "background", "front", "back",
})  # fmt: skip
RELATION_WORDS = frozenset({
    "above", "over", "below", "under", "beneath", "underneath", "beside", "behind", "between", "near", "nearest",
    "closest", "next", "against", "facing", "surrounded", "holding", "riding", "leading", "following",
})  # fmt: skip
RELATION_PHRASES = ("left of", "right of", "in front of", "on top of", "close to", "to the left", "to the right")
# COCO calls objects under 32 x 32 pixels small and over 96 x 96 large, in pictures of about 640 x 480 pixels.
SMALL, LARGE = 32 * 32 / (640 * 480), 96 * 96 / (640 * 480)
AXES = ("phrase length", "box area", "same-category distractors", "category", "location words", "relation words")


def kinds_of(expression: Expression, regions: Sequence[Region], image_area: float) -> dict[str, str]:
    """The kind that an expression is of, along each of `AXES`.

    Args:
        expression: with its category, "" where the data set gives none.
        regions: every annotated object of its image.
        image_area: of the image in square pixels.
    """
    words = re.findall(r"[\w']+", expression.phrase.lower())
    spoken = " ".join(words)
    x1, y1, x2, y2 = expression.box_xyxy
    area = (x2 - x1) * (y2 - y1) / image_area
    distractors = sum(
        region.category == expression.category and region.ann_id != expression.ann_id for region in regions
    )
    relates = not RELATION_WORDS.isdisjoint(words) or any(f" {p} " in f" {spoken} " for p in RELATION_PHRASES)
    return {
        "phrase length": _length(len(words)),
        "box area": "small" if area < SMALL else "medium" if area < LARGE else "large",
        "same-category distractors": str(distractors) if distractors < 3 else "3 or more",
        "category": expression.category or "unknown",
        "location words": "no" if LOCATION_WORDS.isdisjoint(words) else "yes",
        "relation words": "yes" if relates else "no",
    }


def _length(words: int) -> str:
    if words <= 3:
        return "1-3 words"
    if words <= 6:
        return "4-6 words"
    return "7-10 words" if words <= 10 else "11 words or more"
