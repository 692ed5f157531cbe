"""Phrases for any number of objects, as gRefCOCO has them: several, one, or none that is there."""

from __future__ import annotations

import numpy as np

from grounding.data.refshapes.meaning import Attributes, Description, denotes
from grounding.data.refshapes.phrases import SUBSETS, attributes_of, describe, noun_phrase, say
from grounding.data.refshapes.scenes import Scene
from grounding.data.refshapes.vocabulary import COLOURS, MATERIALS, PLACES, SHAPES, TEXTURES

VALUES = {"shape": SHAPES, "colour": tuple(COLOURS), "texture": TEXTURES, "material": MATERIALS}
MAX_TRIES = 30
NUMBERS = {2: "two", 3: "three", 4: "four"}


def several(scene: Scene, rng: np.random.Generator) -> tuple[str, list[int]] | None:
    """A phrase that fits two or more objects of a scene, and their indices; None where none was found.

    "both striped rings", "all stars on the left", "the red heart and the glass fish".
    """
    if rng.random() < 0.35:
        return _listed(scene, rng)
    for _ in range(MAX_TRIES):
        attributes = _some_attributes(scene, rng)
        place = list(PLACES)[rng.integers(4)] if rng.random() < 0.25 else ""  # of the four sides
        description = Description(attributes, "place" if place else "", place)
        targets = denotes(description, scene, strictly=True)
        if len(targets) >= 2 and targets == denotes(description, scene, strictly=False):
            return _plural(description, len(targets), rng), targets
    return None


def absent(scene: Scene, rng: np.random.Generator) -> tuple[str, list[int]] | None:
    """A phrase that fits nothing in the scene, mostly one word away from one that does; None where none was found."""
    for _ in range(MAX_TRIES):
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
    descriptions = [describe(scene, index, rng, kind="") for index in chosen]
    if any(description is None or not description.attributes for description in descriptions):
        return None
    phrases = ["the " + noun_phrase(each.attributes, rng, with_tail=False) for each in descriptions if each]
    return " and ".join(phrases), sorted(chosen)


def _some_attributes(scene: Scene, rng: np.random.Generator) -> Attributes:
    """Some attributes of some object."""
    item = scene.objects[rng.integers(len(scene.objects))]
    return attributes_of(item, SUBSETS[1 + rng.integers(len(SUBSETS) - 1)])


def _plural(description: Description, count: int, rng: np.random.Generator) -> str:
    noun = noun_phrase(description.attributes, rng, plural=True, with_tail=rng.random() < 0.5)
    determiners = ["all ", "all the ", "all of the "]
    if count == 2:
        determiners += ["both ", "both of the ", "the two "]
    elif count in NUMBERS:
        determiners += [f"the {NUMBERS[count]} "]
    phrase = determiners[rng.integers(len(determiners))] + noun
    if description.clue == "place":
        phrase += " " + PLACES[description.word][rng.integers(len(PLACES[description.word]))]
    return phrase
