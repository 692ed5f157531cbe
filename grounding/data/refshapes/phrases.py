"""Phrases for objects: choosing a description that is unique in its scene, and putting it into words.

Those for any number of objects, as gRefCOCO has them, are about several, one, or none that is there.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from grounding.data.refshapes import vocabulary
from grounding.data.refshapes.meaning import TOO_SMALL_FOR_TEXTURE, Attributes, Description, denotes, related, the_only
from grounding.data.refshapes.scenes import Scene, SceneObject

ORDER = ("texture", "material", "colour", "shape")  # of adjectives in English
SUBSETS = tuple(names for length in range(5) for names in combinations(ORDER, length))
HEADS = ((), ("shape",), ("colour",), ("colour", "shape"), ("texture", "shape"), ("texture", "colour", "shape"))
ANCHORS = (
    ("shape",), ("colour", "shape"), ("texture", "shape"), ("material", "shape"), ("texture", "colour", "shape"),
    ("material", "colour", "shape"), ("colour",),
)  # fmt: skip
# How often a phrase has a clue beside what its object looks like, and how often looks alone would not do then.
CLUE_SHARES = {"": 0.54, "relation": 0.26, "rank": 0.06, "size": 0.03, "place": 0.11}
NEEDED = 0.7
MAX_TRIES = 40  # of clues for one phrase
DEFAULTS = ("plain", "matte")  # what nobody mentions without need
VALUES = {"shape": vocabulary.SHAPES, "colour": tuple(vocabulary.COLOURS), "texture": vocabulary.TEXTURES,
          "material": vocabulary.MATERIALS}  # fmt: skip
SET_TRIES = 30  # of descriptions for several objects or none
OF_SO_MANY = {2: ("both ", "both of the ", "the two "), 3: ("the three ",), 4: ("the four ",)}


def attributes_of(item: SceneObject, names: Sequence[str]) -> Attributes:
    """The named attributes of an object with their values, without those that cannot be seen on it."""
    hidden = ("texture", "material") if item.patch[2] < TOO_SMALL_FOR_TEXTURE else ()
    return tuple((name, getattr(item, name)) for name in names if name not in hidden)


def describe(scene: Scene, target: int, rng: np.random.Generator) -> Description | None:
    """A description that fits the target alone, its clue of the first kind drawn for which there is one."""
    kinds = rng.choice(list(CLUE_SHARES), size=len(CLUE_SHARES), replace=False, p=list(CLUE_SHARES.values()))
    tried = (_by_clue(str(kind), scene, target, rng) if kind else _by_looks(scene, target, rng) for kind in kinds)
    return next((description for description in tried if description is not None), None)


def _by_looks(scene: Scene, target: int, rng: np.random.Generator) -> Description | None:
    item = scene.objects[target]
    choices = {attributes_of(item, names) for names in SUBSETS}
    unique = [each for each in sorted(choices) if the_only(Description(each), scene) == target]
    if not unique:
        return None
    weights = [_naturalness(dict(each)) for each in unique]
    return Description(unique[rng.choice(len(unique), p=np.array(weights) / sum(weights))])


def _naturalness(values: dict[str, str]) -> float:
    """People name the shape nearly always, mostly the colour, often more than is needed, and seldom what is usual."""
    weight = 2.0 ** len(values) * (6.0 if "shape" in values else 1.0) * (2.5 if "colour" in values else 1.0)
    for name in ("texture", "material"):
        if name in values:
            weight *= 0.15 if values[name] in DEFAULTS else 1.0
    return weight


def _by_clue(kind: str, scene: Scene, target: int, rng: np.random.Generator) -> Description | None:
    """A clue of one kind; mostly one without which the rest of the phrase would fit several objects."""
    heads = sorted({attributes_of(scene.objects[target], names) for names in HEADS})
    if kind in ("rank", "size") or rng.random() < NEEDED:
        heads = [head for head in heads if len(denotes(Description(head), scene, strictly=False)) > 1]
    if kind == "relation":
        clues = _relations(scene, target)
    else:
        words = {"rank": vocabulary.RANKS, "size": vocabulary.SIZES, "place": vocabulary.PLACES}[kind]
        clues = [(word, ()) for word in words]
    for number in rng.permutation(len(heads) * len(clues))[:MAX_TRIES]:
        head, (word, anchor) = heads[number % len(heads)], clues[number // len(heads)]
        description = Description(head, kind, word, anchor)  # type: ignore[arg-type]
        if the_only(description, scene) == target:
            return description
    return None


def _relations(scene: Scene, target: int) -> list[tuple[str, Attributes]]:
    """How the target surely stands to other objects, with attributes that fit each of these alone."""
    found = []
    for other, item in enumerate(scene.objects):
        relations = vocabulary.RELATIONS if other != target else ()
        words = [word for word in relations if related(word, target, other, scene, strictly=True)]
        names_of_anchor = {attributes_of(item, names) for names in ANCHORS} if words else set()
        anchors = sorted(each for each in names_of_anchor if the_only(Description(each), scene) is not None)
        found += [(word, anchor) for word in words for anchor in anchors]
    return found


def say(description: Description, scene: Scene, rng: np.random.Generator) -> str:
    """One wording of a description of an object in the scene."""
    word, clue = description.word, description.clue
    if clue == "rank":
        rivals = denotes(Description(description.attributes), scene, strictly=False)
        if len(rivals) == 2 and word in vocabulary.RANKS_OF_TWO and rng.random() < 0.6:
            plural = noun_phrase(description.attributes, rng, plural=True, with_tail=False)
            return _pick(vocabulary.RANKS_OF_TWO[word], rng).format(plural)
        return _pick(vocabulary.RANKS[word], rng).format(noun_phrase(description.attributes, rng, with_tail=False))
    noun = noun_phrase(description.attributes, rng)
    phrase = _with_article(f"{_pick(vocabulary.SIZES[word], rng)} {noun}" if clue == "size" else noun, rng)
    if clue in ("place", "relation"):
        joint = _joint(word, rng, goes_on=" that " in phrase)
        phrase += f" {joint}{_pick((vocabulary.PLACES if clue == 'place' else vocabulary.RELATIONS)[word], rng)}"
    if clue == "relation":
        phrase += " the " + noun_phrase(description.anchor, rng)
    elif clue == "" and rng.random() < 0.35:
        phrase += rng.choice([" in the picture", " in this scene", " that you can see"])
    return phrase


def _joint(word: str, rng: np.random.Generator, *, goes_on: bool) -> str:
    """What ties a place or relation to the noun; after another relative clause, it `goes_on`."""
    verb = "" if word == "front" or rng.random() < 0.4 else ("lying ", "sitting ", "placed ")[rng.integers(3)]
    if goes_on:
        return "and is " + verb
    return ("that is " if rng.random() < 0.4 else "") + verb if rng.random() < 0.6 else ""


def noun_phrase(
    attributes: Attributes, rng: np.random.Generator, *, plural: bool = False, with_tail: bool = True
) -> str:
    """A noun with adjectives before it and, where allowed, a clause after it; no article."""
    values = dict(attributes)
    noun = _pick(vocabulary.NOUNS[values["shape"]], rng) if "shape" in values else str(rng.choice(vocabulary.ANY_NOUN))
    if plural:
        noun = vocabulary.PLURALS.get(noun, noun + "s")
    adjectives: list[str] = []
    tail = ""
    for name in ORDER[:-1]:
        if name not in values:
            continue
        value = values[name]
        if with_tail and not tail and value in vocabulary.CLAUSES and rng.random() < 0.4:
            tail = " " + _pick(vocabulary.CLAUSES[value], rng)
        elif with_tail and not tail and name == "colour" and rng.random() < 0.12:
            tail = f" that is {_pick(vocabulary.ADJECTIVES[value], rng)}"
        else:
            adjectives.append(_pick(vocabulary.ADJECTIVES[value], rng))
    if plural:
        tail = tail.replace(" does ", " do ").replace(" looks ", " look ").replace(" on it", " on them")
    return " ".join([*adjectives, noun]) + tail


def _with_article(words: str, rng: np.random.Generator) -> str:
    indefinite = "an " if words[0] in "aeiou" and not words.startswith("one") else "a "
    return ("the ", "the ", "the ", indefinite, "")[rng.integers(5)] + words


def _pick(words: Sequence[str], rng: np.random.Generator) -> str:
    """The first word three times in five, else one of its synonyms."""
    if len(words) == 1 or rng.random() < 0.6:
        return words[0]
    return words[1 + int(rng.integers(len(words) - 1))]


def several(scene: Scene, rng: np.random.Generator) -> tuple[str, list[int]] | None:
    """A phrase that fits two or more objects of a scene, and their indices; None where none was found.

    "both striped rings", "all stars on the left", "the red heart and the glass fish".
    """
    if rng.random() < 0.35:
        return _listed(scene, rng)
    for _ in range(SET_TRIES):
        attributes = _some_attributes(scene, rng)
        place = list(vocabulary.PLACES)[rng.integers(4)] if rng.random() < 0.25 else ""  # of the four sides
        description = Description(attributes, "place" if place else "", place)
        targets = denotes(description, scene, strictly=True)
        if len(targets) >= 2 and targets == denotes(description, scene, strictly=False):
            return _plural(description, len(targets), rng), targets
    return None


def absent(scene: Scene, rng: np.random.Generator) -> tuple[str, list[int]] | None:
    """A phrase that fits nothing in the scene, mostly one word away from one that does; None where none was found."""
    for _ in range(SET_TRIES):
        attributes = _some_attributes(scene, rng)
        if len(attributes) < 2:
            continue
        changed = rng.permutation(len(attributes))[: 1 if rng.random() < 0.8 else 2]
        attributes = tuple(
            (name, str(rng.choice(VALUES[name]))) if index in changed else (name, value)
            for index, (name, value) in enumerate(attributes)
        )
        description = Description(attributes)
        if not denotes(description, scene, strictly=False):
            return say(description, scene, rng), []
    return None


def single(scene: Scene, rng: np.random.Generator) -> tuple[str, list[int]] | None:
    """A phrase for one object, as in RefCOCOg, and its index; None where the scene has none for the drawn object."""
    target = int(rng.integers(len(scene.objects)))
    description = describe(scene, target, rng)
    return None if description is None else (say(description, scene, rng), [target])


def _listed(scene: Scene, rng: np.random.Generator) -> tuple[str, list[int]] | None:
    """Two objects joined by "and", each described by its looks."""
    chosen = [int(index) for index in rng.permutation(len(scene.objects))[:2]]
    descriptions = [_by_looks(scene, index, rng) for index in chosen]
    looks = [each.attributes for each in descriptions if each is not None and each.attributes]
    if len(looks) < len(chosen):
        return None
    phrases = ["the " + noun_phrase(each, rng, with_tail=False) for each in looks]
    return " and ".join(phrases), sorted(chosen)


def _some_attributes(scene: Scene, rng: np.random.Generator) -> Attributes:
    """Some attributes of some object."""
    item = scene.objects[rng.integers(len(scene.objects))]
    return attributes_of(item, SUBSETS[1 + rng.integers(len(SUBSETS) - 1)])


def _plural(description: Description, count: int, rng: np.random.Generator) -> str:
    noun = noun_phrase(description.attributes, rng, plural=True, with_tail=rng.random() < 0.5)
    determiners = ["all ", "all the ", "all of the ", *OF_SO_MANY.get(count, ())]
    phrase = determiners[rng.integers(len(determiners))] + noun
    if description.clue == "place":
        phrase += " " + vocabulary.PLACES[description.word][rng.integers(len(vocabulary.PLACES[description.word]))]
    return phrase
