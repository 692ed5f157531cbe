"""Kinds of expressions to look at apart: by what the phrase says, the object's size, and what stands around it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from grounding.data.relations import relates
from grounding.types import Expression, Region

# The words for a place in the picture in RefCOCOg's expressions.
LOCATION_WORDS = frozenset({
    "left", "right", "top", "bottom", "upper", "lower", "middle", "center", "centre", "leftmost", "rightmost",
    "corner", "side", "edge", "far", "foreground", "background", "front", "back",
})  # fmt: skip
# COCO calls objects under 32 x 32 pixels small and over 96 x 96 large, in pictures of about 640 x 480 pixels.
SMALL, LARGE = 32 * 32 / (640 * 480), 96 * 96 / (640 * 480)
LENGTHS = ("1-3 words", "4-6 words", "7-10 words", "11 words or more")
SIZES = ("small", "medium", "large")
AXES = ("phrase length", "box area", "same-category distractors", "category", "location words", "relation words")


def kinds_of(expression: Expression, regions: Sequence[Region], image_area: float) -> dict[str, str]:
    """The kind that an expression is of, along each of `AXES`.

    Args:
        expression: with its category, "" where the data set gives none.
        regions: every annotated object of its image.
        image_area: of the image in square pixels.
    """
    words = re.findall(r"[\w']+", expression.phrase.lower())
    x1, y1, x2, y2 = expression.box_xyxy
    area = (x2 - x1) * (y2 - y1) / image_area
    distractors = sum(
        region.category == expression.category and region.ann_id != expression.ann_id for region in regions
    )
    return {
        "phrase length": _length(len(words)),
        "box area": SIZES[int(area >= SMALL) + int(area >= LARGE)],
        "same-category distractors": str(distractors) if distractors < 3 else "3 or more",
        "category": expression.category or "unknown",
        "location words": "no" if LOCATION_WORDS.isdisjoint(words) else "yes",
        "relation words": "yes" if relates(expression.phrase) else "no",
    }


def in_order(kind: str) -> tuple[int, str]:
    """Sorts the kinds of an axis: lengths and sizes as they grow, all others by their names."""
    ordered = (*LENGTHS, *SIZES)
    return (ordered.index(kind) if kind in ordered else len(ordered)), kind


def _length(words: int) -> str:
    return LENGTHS[sum(words > most for most in (3, 6, 10))]
