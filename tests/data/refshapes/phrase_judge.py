"""Judges which objects of a scene a phrase denotes, by none of the code that writes phrases."""

from __future__ import annotations

import math
from collections.abc import Sequence

from grounding.data.refshapes.scenes import Scene, SceneObject
from tests.data.refshapes.phrase_reader import Attributes, Meaning

Box = Sequence[float]


def denoted(meaning: Meaning, scene: Scene, *, strictly: bool) -> list[int]:
    """Indices of the objects that the phrase fits: beyond dispute, or in anybody's eyes."""
    objects = list(enumerate(scene.objects))
    fitting = [i for i, item in objects if _looks(item, meaning.attributes, strictly=strictly)]
    rivals = [i for i, item in objects if _looks(item, meaning.attributes, strictly=False)]
    if meaning.of_two and len(rivals) != 2:
        return []
    if meaning.rank:
        return [i for i in fitting if _is_at(i, *meaning.rank, rivals, scene, strictly=strictly)]
    if meaning.size:
        order = -1 if meaning.size == "large" else 1
        return [i for i in fitting if _is_at(i, "clear size", order, 0, rivals, scene, strictly=strictly)]
    if meaning.place:
        return [i for i in fitting if _is_in(meaning.place, *_centre(i, scene), strictly=strictly)]
    if meaning.relation:
        anchors = [i for i, item in objects if _looks(item, meaning.anchor, strictly=strictly)]
        stands = _surely if strictly else _arguably
        return [i for i in fitting if any(j != i and stands(meaning.relation, i, j, scene) for j in anchors)]
    return fitting


def _looks(item: SceneObject, attributes: Attributes, *, strictly: bool) -> bool:
    """True where it has all the attributes; a tiny object's surface is a matter of opinion."""
    surface = {name for name in attributes if item.patch[2] < 26 and name in ("texture", "material")}
    if strictly and surface:
        return False
    return all(getattr(item, name) == value for name, value in attributes.items() if name not in surface)


def _centre(index: int, scene: Scene) -> tuple[float, float]:
    """As shares of the image."""
    (x1, y1, x2, y2), (height, width) = scene.objects[index].box_xyxy, scene.image.shape[:2]
    return (x1 + x2) / 2 / width, (y1 + y2) / 2 / height


def _is_at(
    index: int, key: str, order: int, place: int, rivals: list[int], scene: Scene, *, strictly: bool
) -> bool:  # fmt: skip
    """Whether it is the first (place 0) or second in that order among its rivals, of which there must be enough."""
    if len(rivals) < place + 2:
        return False
    margin = {"clear size": math.log(1.3), "size": math.log(1.15)}.get(key, 0.05)

    def value(i: int) -> float:
        of_key = math.log(scene.objects[i].patch[2]) if key.endswith("size") else _centre(i, scene)["xy".index(key)]
        return order * of_key

    before = [value(i) < value(index) - margin for i in rivals if i != index]
    perhaps = [value(i) < value(index) + margin for i in rivals if i != index]
    return sum(before) == sum(perhaps) == place if strictly else sum(before) <= place <= sum(perhaps)


def _is_in(place: str, x: float, y: float, *, strictly: bool) -> bool:
    if place == "middle":
        return max(abs(x - 0.5), abs(y - 0.5)) < (0.13 if strictly else 0.25)
    limit = 1 / 3 if strictly else 1 / 2
    inside = {"left": x < limit, "right": x > 1 - limit, "top": y < limit, "bottom": y > 1 - limit}
    return all(inside[word] for word in place.split())


def _surely(relation: str, i: int, j: int, scene: Scene) -> bool:
    """Nobody would object."""
    box, anchor = scene.objects[i].box_xyxy, scene.objects[j].box_xyxy
    if relation in ("front", "behind"):
        return scene.covers[(i, j) if relation == "front" else (j, i)] >= 0.12
    if relation == "near":
        return _gap(box, anchor) < _mean_side(box, anchor) / 4
    along = _distance(relation, box, anchor)
    across = abs(_distance("above" if relation in ("left", "right") else "left", box, anchor))
    return along > across and along > _mean_side(box, anchor) / 2


def _arguably(relation: str, i: int, j: int, scene: Scene) -> bool:
    """Somebody might say so."""
    box, anchor = scene.objects[i].box_xyxy, scene.objects[j].box_xyxy
    if relation in ("front", "behind"):
        near, far = (i, j) if relation == "front" else (j, i)
        return scene.covers[near, far] > 0.01 or (near > far and min(_overlaps(box, anchor)) > 0)
    if relation == "near":
        return _gap(box, anchor) < 0.7 * _mean_side(box, anchor)
    return _distance(relation, box, anchor) > 0


def _distance(direction: str, box: Box, anchor: Box) -> float:
    """How far the middle lies from the anchor's in the direction; negative on the other side."""
    axis, sign = {"left": (0, -1), "right": (0, 1), "above": (1, -1), "below": (1, 1)}[direction]
    return sign * (box[axis] + box[axis + 2] - anchor[axis] - anchor[axis + 2]) / 2


def _overlaps(a: Box, b: Box) -> tuple[float, float]:
    return min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])


def _gap(a: Box, b: Box) -> float:
    """Empty pixels between two boxes along x or y, whichever is more; 0 where they touch."""
    return max(0.0, *(-each for each in _overlaps(a, b)))


def _mean_side(a: Box, b: Box) -> float:
    return sum(box[2] - box[0] + box[3] - box[1] for box in (a, b)) / 4
