"""Phrases for objects: choosing a description that is unique in its scene, and putting it into words."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations, product

import numpy as np

from grounding.data.refshapes.meaning import Attributes, Description, has_attributes, is_unique
from grounding.data.refshapes.scenes import SceneObject
from grounding.data.refshapes.vocabulary import (
    ADJECTIVES,
    ANY_NOUN,
    NOUNS,
    RELATION_PHRASES,
    TEXTURE_CLAUSES,
)
from grounding.data.relations import stands

ORDER = ("size", "texture", "colour", "shape")  # English adjective order
SUBSETS = tuple(names for length in range(5) for names in combinations(ORDER, length))
MAX_WORDS = 14
RELATION_SHARE = 0.1
# Size can be judged only against the other objects, so few phrases may depend on it.
SIZE_SHARE = 0.15
HEAD_SUBSETS = ((), ("shape",), ("colour",), ("colour", "shape"), ("texture", "shape"))
ANCHOR_SUBSETS = (("shape",), ("colour",), ("colour", "shape"), ("texture", "shape"), ("texture", "colour", "shape"))


def attributes_of(item: SceneObject, names: Sequence[str]) -> Attributes:
    """The named attributes of an object with their values."""
    return tuple((name, getattr(item, name)) for name in names)


def describe(
    objects: Sequence[SceneObject], target: int, rng: np.random.Generator, *, kind: str | None = None
) -> Description | None:
    """A description that is unique in the scene.

    Args:
        objects: the scene's.
        target: index of the object to describe.
        rng: source of all randomness.
        kind: "attribute" or "relation"; drawn where None.

    Returns:
        The description, or None where this scene has no unique one of the kind for this object.
    """
    if kind is None:
        kind = "relation" if rng.random() < RELATION_SHARE else "attribute"
    return (_by_relation if kind == "relation" else _by_attributes)(objects, target, rng)


def _by_attributes(objects: Sequence[SceneObject], target: int, rng: np.random.Generator) -> Description | None:
    unique = [
        names for names in SUBSETS if is_unique(Description(attributes_of(objects[target], names)), objects, target)
    ]
    without_need_of_size = [names for names in unique if tuple(n for n in names if n != "size") in unique]
    choices = unique if rng.random() < SIZE_SHARE else without_need_of_size
    if not choices:
        return None
    # People name the shape nearly always, and seldom more than is needed.
    weights = np.array([(4.0 if "shape" in names else 1.0) * 0.6 ** len(names) for names in choices])
    names = choices[rng.choice(len(choices), p=weights / weights.sum())]
    return Description(attributes_of(objects[target], names))


def _by_relation(objects: Sequence[SceneObject], target: int, rng: np.random.Generator) -> Description | None:
    """A relation to an anchor that is unique by its attributes; seldom where the target's own would do."""
    needed: list[Description] = []
    needless: list[Description] = []
    heads = [attributes_of(objects[target], names) for names in HEAD_SUBSETS]
    enough_alone = [is_unique(Description(head), objects, target) for head in heads]
    for other, anchor in enumerate(objects):
        relations = [
            relation
            for relation in RELATION_PHRASES
            if other != target and stands(relation, objects[target].box_xyxy, anchor.box_xyxy, strictly=True)
        ]
        anchors = [attributes_of(anchor, names) for names in ANCHOR_SUBSETS] if relations else []
        anchors = [attributes for attributes in anchors if is_unique(Description(attributes), objects, other)]
        for relation in relations:
            # `is_unique` with the parts worked out once that do not change: only these could be meant instead.
            rivals = [
                item
                for index, item in enumerate(objects)
                if index not in (target, other) and stands(relation, item.box_xyxy, anchor.box_xyxy, strictly=False)
            ]
            clear = [not any(has_attributes(rival, head) for rival in rivals) for head in heads]
            for anchor_attributes, (head, is_clear, alone) in product(
                anchors, zip(heads, clear, enough_alone, strict=True)
            ):
                if is_clear:
                    (needless if alone else needed).append(Description(head, relation, anchor_attributes))
    choices = needed if needed and rng.random() < 0.8 else needless or needed
    if not choices:
        return None
    return choices[rng.integers(len(choices))]


def say(description: Description, rng: np.random.Generator) -> str:
    """One wording of a description, in 2 to 14 words."""
    while True:
        phrase = _noun_phrase(description.attributes, rng)
        if description.relation:
            joint = " that is " if rng.random() < 0.15 else " "
            relation = _pick(RELATION_PHRASES[description.relation], rng)
            phrase += joint + relation + " " + _noun_phrase(description.anchor, rng, definite=True)
        if 2 <= len(phrase.split()) <= MAX_WORDS:
            return phrase


def _noun_phrase(attributes: Attributes, rng: np.random.Generator, *, definite: bool = False) -> str:
    values = dict(attributes)
    noun = _pick(NOUNS[values["shape"]], rng) if "shape" in values else str(rng.choice(ANY_NOUN))
    words = {name: _pick(ADJECTIVES[values[name]], rng) for name in ("size", "texture", "colour") if name in values}
    tail = ""
    if "texture" in words and rng.random() < 0.25:
        del words["texture"]
        tail = " " + TEXTURE_CLAUSES[values["texture"]]
    elif list(words) == ["colour"] and rng.random() < 0.12:
        tail = " that is " + words.pop("colour")
    determiner = ["the"] if definite or rng.random() < 0.75 else []
    return " ".join([*determiner, *words.values(), noun]) + tail


def _pick(words: Sequence[str], rng: np.random.Generator) -> str:
    """The first word two times in three, else one of its synonyms."""
    if len(words) == 1 or rng.random() < 2 / 3:
        return words[0]
    return words[1 + int(rng.integers(len(words) - 1))]
