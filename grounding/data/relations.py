"""How one box stands to another: left, right, above, below, near; and the words for it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from types import MappingProxyType

CONNECTORS = MappingProxyType(
    {
        "left": ("left of", "to the left of", "on the left side of"),
        "right": ("right of", "to the right of", "on the right side of"),
        "above": ("above", "over"),
        "below": ("below", "under", "beneath"),
        "near": ("next to", "beside", "close to"),
    }
)

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
