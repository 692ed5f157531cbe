"""What a description means: which objects of a scene it denotes, for certain and at a stretch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from grounding.data.refshapes.scenes import SceneObject

Attributes = tuple[tuple[str, str], ...]  # (("colour", "red"), ("shape", "star")): any subset, in a fixed order


@dataclass(frozen=True)
class Description:
    """The meaning of a phrase: what the target looks like and, optionally, how it stands to an anchor object.

    Attributes:
        attributes: of the target; may be empty ("the thing left of ...").
        relation: a key of `vocabulary.RELATION_PHRASES`, or "" for none.
        anchor: attributes of the object that the relation names.
    """

    attributes: Attributes
    relation: str = ""
    anchor: Attributes = ()


def has_attributes(item: SceneObject, attributes: Attributes) -> bool:
    """True where the object shows every one of the attributes."""
    return all(getattr(item, name) == value for name, value in attributes)


def stands(relation: str, item: SceneObject, anchor: SceneObject, *, strictly: bool) -> bool:
    """Whether `item` stands in `relation` to `anchor`.

    Strictly, nobody would object: for a direction, the centres differ more along it than across it and by over half
    of the mean side (in generated scenes, whose objects barely overlap, the boxes then never overlap along it by more
    than half of the smaller one); for "near", the gap between the boxes, along x or y, whichever is wider, is under a
    quarter of the mean side. Not strictly, somebody might still say so: the centre lies on that side at all; the gap
    is under seven tenths.
    """
    (x, y), (anchor_x, anchor_y) = item.centre, anchor.centre
    side = (_side(item) + _side(anchor)) / 2
    if relation == "near":
        return _gap(item, anchor) < (0.25 if strictly else 0.7) * side
    along, across = {
        "left": (anchor_x - x, y - anchor_y),
        "right": (x - anchor_x, y - anchor_y),
        "above": (anchor_y - y, x - anchor_x),
        "below": (y - anchor_y, x - anchor_x),
    }[relation]
    return along > max(abs(across), 0.5 * side) if strictly else along > 0


def denotes(description: Description, objects: Sequence[SceneObject], *, strictly: bool) -> list[int]:
    """Indices of the objects that the description fits; of a relation, to any object fitting the anchor."""
    fitting = []
    for index, item in enumerate(objects):
        if not has_attributes(item, description.attributes):
            continue
        if description.relation and not any(
            stands(description.relation, item, anchor, strictly=strictly)
            for other, anchor in enumerate(objects)
            if other != index and has_attributes(anchor, description.anchor)
        ):
            continue
        fitting.append(index)
    return fitting


def is_unique(description: Description, objects: Sequence[SceneObject], target: int) -> bool:
    """True where the description fits the target strictly and no other object even loosely.

    An anchor, too, has to be one certain object.
    """
    if description.relation and len(denotes(Description(description.anchor), objects, strictly=True)) != 1:
        return False
    # Loosely first: it fails far more often, and then spares the other.
    return denotes(description, objects, strictly=False) == [target] == denotes(description, objects, strictly=True)


def _side(item: SceneObject) -> float:
    x1, y1, x2, y2 = item.box_xyxy
    return ((x2 - x1) + (y2 - y1)) / 2


def _gap(a: SceneObject, b: SceneObject) -> float:
    across = max(a.box_xyxy[0], b.box_xyxy[0]) - min(a.box_xyxy[2], b.box_xyxy[2])
    down = max(a.box_xyxy[1], b.box_xyxy[1]) - min(a.box_xyxy[3], b.box_xyxy[3])
    return float(max(across, down, 0))
