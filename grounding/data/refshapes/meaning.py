"""What a description means: which objects of a scene it denotes, for certain and at a stretch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from grounding.data.refshapes.scenes import SceneObject
from grounding.data.relations import stands

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


def denotes(description: Description, objects: Sequence[SceneObject], *, strictly: bool) -> list[int]:
    """Indices of the objects that the description fits; of a relation, to any object fitting the anchor."""
    fitting = []
    for index, item in enumerate(objects):
        if not has_attributes(item, description.attributes):
            continue
        if description.relation and not any(
            stands(description.relation, item.box_xyxy, anchor.box_xyxy, strictly=strictly)
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
