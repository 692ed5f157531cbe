"""Phrases for objects: choosing a description that is unique in its scene, and putting it into words."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from grounding.data.refshapes.meaning import TOO_SMALL_FOR_TEXTURE, Attributes, Description, denotes, related, the_only
from grounding.data.refshapes.scenes import Scene, SceneObject
from grounding.data.refshapes.vocabulary import (
    ADJECTIVES,
    ANY_NOUN,
    CLAUSES,
    NOUNS,
    PLACES,
    PLURALS,
    RANKS,
    RANKS_OF_TWO,
    RELATIONS,
    SIZES,
)

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
SLIP_SHARE = 0.04  # phrases with a letter left out or doubled, as people type


def attributes_of(item: SceneObject, names: Sequence[str]) -> Attributes:
    """The named attributes of an object with their values, without those that cannot be seen on it."""
    hidden = ("texture", "material") if item.patch[2] < TOO_SMALL_FOR_TEXTURE else ()
    return tuple((name, getattr(item, name)) for name in names if name not in hidden)


def describe(scene: Scene, target: int, rng: np.random.Generator, *, kind: str | None = None) -> Description | None:
    """A description that fits one object alone, the target; None where there is none with a clue of this kind.

    The kind is a key of `CLUE_SHARES`; where it is None, one is drawn, and another where there is none of the first.
    """
    if kind is not None:
        return _by_looks(scene, target, rng) if kind == "" else _by_clue(kind, scene, target, rng)
    kinds = rng.choice(list(CLUE_SHARES), size=len(CLUE_SHARES), replace=False, p=list(CLUE_SHARES.values()))
    for each in kinds:
        description = describe(scene, target, rng, kind=str(each))
        if description is not None:
            return description
    return None


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
        words = {"rank": RANKS, "size": SIZES, "place": PLACES}[kind]
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
        words = [word for word in RELATIONS if other != target and related(word, target, other, scene, strictly=True)]
        names_of_anchor = {attributes_of(item, names) for names in ANCHORS} if words else set()
        anchors = sorted(each for each in names_of_anchor if the_only(Description(each), scene) is not None)
        found += [(word, anchor) for word in words for anchor in anchors]
    return found


def say(description: Description, scene: Scene, rng: np.random.Generator) -> str:
    """One wording of a description of an object in the scene."""
    word, clue = description.word, description.clue
    if clue == "rank":
        rivals = denotes(Description(description.attributes), scene, strictly=False)
        if len(rivals) == 2 and word in RANKS_OF_TWO and rng.random() < 0.6:
            plural = noun_phrase(description.attributes, rng, plural=True, with_tail=False)
            return _pick(RANKS_OF_TWO[word], rng).format(plural)
        return _pick(RANKS[word], rng).format(noun_phrase(description.attributes, rng, with_tail=False))
    noun = noun_phrase(description.attributes, rng)
    phrase = _with_article(f"{_pick(SIZES[word], rng)} {noun}" if clue == "size" else noun, rng)
    if clue in ("place", "relation"):
        phrase += (
            " "
            + _joint(word, rng, goes_on=" that " in phrase)
            + _pick((PLACES if clue == "place" else RELATIONS)[word], rng)
        )
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


def with_slip(phrase: str, rng: np.random.Generator) -> str:
    """The phrase as somebody mistyped it: in one of its longer words, a letter is missing or doubled."""
    words = phrase.split()
    long = [index for index, word in enumerate(words) if len(word) >= 5]
    if long:
        index = long[rng.integers(len(long))]
        word, at = words[index], int(rng.integers(1, len(words[index]) - 1))
        words[index] = word[:at] + (word[at + 1 :] if rng.random() < 0.5 else word[at] + word[at:])
    return " ".join(words)


def noun_phrase(
    attributes: Attributes, rng: np.random.Generator, *, plural: bool = False, with_tail: bool = True
) -> str:
    """A noun with adjectives before it and, where allowed, a clause after it; no article."""
    values = dict(attributes)
    noun = _pick(NOUNS[values["shape"]], rng) if "shape" in values else str(rng.choice(ANY_NOUN))
    if plural:
        noun = PLURALS.get(noun, noun + "s")
    adjectives: list[str] = []
    tail = ""
    for name in ORDER[:-1]:
        if name not in values:
            continue
        value = values[name]
        if with_tail and not tail and value in CLAUSES and rng.random() < 0.4:
            tail = " " + _pick(CLAUSES[value], rng)
        elif with_tail and not tail and name == "colour" and rng.random() < 0.12:
            tail = f" that is {_pick(ADJECTIVES[value], rng)}"
        else:
            adjectives.append(_pick(ADJECTIVES[value], rng))
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
