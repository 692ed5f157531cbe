"""Judges which things of a scene a phrase denotes, knowing nothing of the code that writes phrases and scenes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tests.data.refshapes.phrase_reader import Attributes, Meaning


@dataclass(frozen=True)
class Thing:
    """An object of a scene: attributes, (x1, y1, x2, y2), side of its drawing, and the shares of others it covers."""

    attributes: Attributes
    box: tuple[float, float, float, float]
    side: float
    covers: Sequence[float]

    def looks(self, attributes: Attributes, *, strictly: bool) -> bool:
        """True where it has all the attributes; a tiny thing's surface is a matter of opinion."""
        for name, value in attributes.items():
            if self.side < 26 and name in ("texture", "material"):
                if strictly:
                    return False
            elif self.attributes[name] != value:
                return False
        return True

    @property
    def centre(self) -> tuple[float, float]:
        return (self.box[0] + self.box[2]) / 2, (self.box[1] + self.box[3]) / 2


def denoted(meaning: Meaning, things: Sequence[Thing], size: tuple[int, int], *, strictly: bool) -> list[int]:
    """Indices of the things in an image of `size` (W, H) that the phrase fits: beyond dispute, or in anybody's eyes."""
    fitting = [i for i, thing in enumerate(things) if thing.looks(meaning.attributes, strictly=strictly)]
    rivals = [i for i, thing in enumerate(things) if thing.looks(meaning.attributes, strictly=False)]
    if meaning.of_two and len(rivals) != 2:
        return []
    if meaning.rank:
        return [i for i in fitting if _is_at(i, *meaning.rank, rivals, things, size, strictly=strictly)]
    if meaning.size:
        order = -1 if meaning.size == "large" else 1
        return [i for i in fitting if _is_at(i, "clear size", order, 0, rivals, things, size, strictly=strictly)]
    if meaning.place:
        return [i for i in fitting if _is_in(meaning.place, things[i], size, strictly=strictly)]
    if meaning.relation:
        anchors = [i for i, thing in enumerate(things) if thing.looks(meaning.anchor, strictly=strictly)]
        stands = _surely if strictly else _arguably
        return [i for i in fitting if any(j != i and stands(meaning.relation, i, j, things) for j in anchors)]
    return fitting


def _is_at(
    index: int, key: str, order: int, place: int, rivals: list[int], things: Sequence[Thing], size: tuple[int, int],
    *, strictly: bool,
) -> bool:  # fmt: skip
    """Whether it is the first (place 0) or second in that order among its rivals, of which there must be enough."""
    if len(rivals) < place + 2:
        return False
    margin = {"clear size": math.log(1.3), "size": math.log(1.15)}.get(key, 0.05)

    def value(i: int) -> float:
        if key.endswith("size"):
            return order * math.log(things[i].side)
        axis = "xy".index(key)
        return order * things[i].centre[axis] / size[axis]

    before = [value(i) < value(index) - margin for i in rivals if i != index]
    perhaps = [value(i) < value(index) + margin for i in rivals if i != index]
    return sum(before) == sum(perhaps) == place if strictly else sum(before) <= place <= sum(perhaps)


def _is_in(place: str, thing: Thing, size: tuple[int, int], *, strictly: bool) -> bool:
    x, y = thing.centre[0] / size[0], thing.centre[1] / size[1]
    if place == "middle":
        return max(abs(x - 0.5), abs(y - 0.5)) < (0.13 if strictly else 0.25)
    limit = 1 / 3 if strictly else 1 / 2
    inside = {"left": x < limit, "right": x > 1 - limit, "top": y < limit, "bottom": y > 1 - limit}
    return all(inside[word] for word in place.split())


def _surely(relation: str, i: int, j: int, things: Sequence[Thing]) -> bool:
    """Nobody would object."""
    thing, anchor = things[i], things[j]
    if relation in ("front", "behind"):
        near, far = (i, j) if relation == "front" else (j, i)
        return things[near].covers[far] >= 0.12
    if relation == "near":
        return _gap(thing.box, anchor.box) < _mean_side(thing, anchor) / 4
    along = _distance(relation, thing, anchor)
    across = abs(_distance("above" if relation in ("left", "right") else "left", thing, anchor))
    return along > across and along > _mean_side(thing, anchor) / 2


def _arguably(relation: str, i: int, j: int, things: Sequence[Thing]) -> bool:
    """Somebody might say so."""
    thing, anchor = things[i], things[j]
    if relation in ("front", "behind"):
        near, far = (i, j) if relation == "front" else (j, i)
        boxes_meet = _gap(thing.box, anchor.box) == 0 and min(_overlaps(thing.box, anchor.box)) > 0
        return things[near].covers[far] > 0.01 or (near > far and boxes_meet)
    if relation == "near":
        return _gap(thing.box, anchor.box) < 0.7 * _mean_side(thing, anchor)
    return _distance(relation, thing, anchor) > 0


def _distance(direction: str, thing: Thing, anchor: Thing) -> float:
    """How far the middle lies from the anchor's in the direction; negative on the other side."""
    axis, sign = {"left": (0, -1), "right": (0, 1), "above": (1, -1), "below": (1, 1)}[direction]
    return sign * (thing.centre[axis] - anchor.centre[axis])


def _overlaps(a: Sequence[float], b: Sequence[float]) -> tuple[float, float]:
    return min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])


def _gap(a: Sequence[float], b: Sequence[float]) -> float:
    """Empty pixels between two boxes along x or y, whichever is more; 0 where they touch."""
    return max(0.0, *(-each for each in _overlaps(a, b)))


def _mean_side(a: Thing, b: Thing) -> float:
    return sum(box[2] - box[0] + box[3] - box[1] for box in (a.box, b.box)) / 4
