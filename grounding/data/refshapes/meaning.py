"""What a description means: which objects of a scene it denotes, for certain and at a stretch.

A phrase is only written where both agree. For certain (`strictly`), nobody would object to calling the object so; at
a stretch, somebody might. What lies between, such as the larger one of two objects of nearly one size, is never said.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from grounding.data.refshapes.scenes import Scene, SceneObject
from grounding.data.relations import stands

Attributes = tuple[tuple[str, str], ...]  # (("colour", "red"), ("shape", "star")): any subset, in a fixed order

TOO_SMALL_FOR_TEXTURE = 26  # pixels of an object's side, below which nobody can name its texture or material
SIZE_MARGIN, LENGTH_MARGIN = 1.3, 1.15  # by how much "large" and "largest" exceed the next, as a ratio of sides
PLACE_MARGIN = 0.05  # by how much "leftmost" lies beyond the next, as a share of the image
MIN_COVERED, LEAST_COVERED = 0.12, 0.01  # shares of an object that what is "in front of" it covers: surely, arguably


@dataclass(frozen=True)
class Description:
    """The meaning of a phrase: what the target looks like and, optionally, one clue to which such object is meant.

    Attributes:
        attributes: of the target; may be empty ("the thing left of ...").
        clue: what `word` is: a key of `vocabulary.RANKS` or SIZES ("rank", "size"), of PLACES ("place") or of
            RELATIONS ("relation"); "" for none.
        word: that key.
        anchor: of a relation, the attributes of the other object.
    """

    attributes: Attributes
    clue: Literal["", "rank", "size", "place", "relation"] = ""
    word: str = ""
    anchor: Attributes = ()


def has_attributes(item: SceneObject, attributes: Attributes, *, strictly: bool) -> bool:
    """True where the object shows every one of the attributes; of a tiny one, nobody can tell its surface."""
    indistinct = item.patch[2] < TOO_SMALL_FOR_TEXTURE
    for name, value in attributes:
        if indistinct and name in ("texture", "material"):
            if strictly:
                return False
        elif getattr(item, name) != value:
            return False
    return True


def denotes(description: Description, scene: Scene, *, strictly: bool) -> list[int]:
    """Indices of the objects that the description fits; of a relation, to any object fitting the anchor."""
    objects = scene.objects
    fitting = [i for i, item in enumerate(objects) if has_attributes(item, description.attributes, strictly=strictly)]
    word = description.word
    if description.clue in ("rank", "size"):
        # Whom it is compared with: all that might be meant, so that a doubtful rival counts.
        rivals = [i for i, item in enumerate(objects) if has_attributes(item, description.attributes, strictly=False)]
        return [index for index in fitting if _ranks(description, index, rivals, scene, strictly=strictly)]
    if description.clue == "place":
        return [index for index in fitting if in_place(word, objects[index], scene, strictly=strictly)]
    if description.clue == "relation":
        anchors = [i for i, it in enumerate(objects) if has_attributes(it, description.anchor, strictly=strictly)]
        return [
            index
            for index in fitting
            if any(index != anchor and related(word, index, anchor, scene, strictly=strictly) for anchor in anchors)
        ]
    return fitting


def the_only(description: Description, scene: Scene) -> int | None:
    """Index of the one object that the description, and its anchor, fit for certain, and no other at all; else None."""
    loosely = denotes(description, scene, strictly=False)
    if len(loosely) != 1 or loosely != denotes(description, scene, strictly=True):
        return None
    if description.clue == "relation" and the_only(Description(description.anchor), scene) is None:
        return None
    return loosely[0]


def in_place(word: str, item: SceneObject, scene: Scene, *, strictly: bool) -> bool:
    """Whether an object is where a key of `vocabulary.PLACES` says: thirds of the image for certain, else halves."""
    height, width = scene.image.shape[:2]
    x1, y1, x2, y2 = item.box_xyxy
    x, y = (x1 + x2) / 2 / width, (y1 + y2) / 2 / height
    if word == "middle":
        reach = 0.13 if strictly else 0.25
        return max(abs(x - 0.5), abs(y - 0.5)) < reach
    edge = 1 / 3 if strictly else 0.5
    sides = {"left": x, "right": 1 - x, "top": y, "bottom": 1 - y}
    return all(sides[part] < edge for part in word.split())


def related(word: str, index: int, anchor: int, scene: Scene, *, strictly: bool) -> bool:
    """Whether an object stands to another one as a key of `vocabulary.RELATIONS` says."""
    if word in ("front", "behind"):
        near, far = (index, anchor) if word == "front" else (anchor, index)
        covered = float(scene.covers[near, far])
        if strictly:
            return covered >= MIN_COVERED
        return covered > LEAST_COVERED or (near > far and _touch(scene.objects[near], scene.objects[far]))
    return stands(word, scene.objects[index].box_xyxy, scene.objects[anchor].box_xyxy, strictly=strictly)


def _ranks(description: Description, index: int, rivals: list[int], scene: Scene, *, strictly: bool) -> bool:
    """Whether an object comes first (or second) among its rivals: by a margin, or at least not behind by one."""
    word = description.word
    ordinal = 1 if word.startswith("second") else 0
    if len(rivals) < 2 + ordinal:
        return False
    height, width = scene.image.shape[:2]
    boxes = np.array([scene.objects[rival].box_xyxy for rival in rivals], dtype=np.float64)
    if word in ("largest", "smallest", "large", "small"):
        margin = np.log(SIZE_MARGIN if description.clue == "size" else LENGTH_MARGIN)
        value = np.log([scene.objects[rival].patch[2] for rival in rivals])
        value = value if word in ("smallest", "small") else -value
    else:
        margin = PLACE_MARGIN
        x, y = (boxes[:, 0] + boxes[:, 2]) / 2 / width, (boxes[:, 1] + boxes[:, 3]) / 2 / height
        along = {"leftmost": x, "rightmost": -x, "topmost": y, "lowest": -y}
        value = along.get(word, x if word.endswith("left") else -x)
    own = value[rivals.index(index)]
    surely_before = int((value < own - margin).sum())
    arguably_before = int((value < own + margin).sum()) - 1  # itself
    if strictly:
        return surely_before == arguably_before == ordinal
    return surely_before <= ordinal <= arguably_before


def _touch(a: SceneObject, b: SceneObject) -> bool:
    (a1, b1, a2, b2), (c1, d1, c2, d2) = a.box_xyxy, b.box_xyxy
    return min(a2, c2) > max(a1, c1) and min(b2, d2) > max(b1, d1)
