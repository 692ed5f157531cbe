"""Reads RefShapes phrases and judges what they denote, knowing nothing of the code that writes them.

The word lists and the rules of position are written down here a second time on purpose: a phrase that the
package believes to be unique has to be so for a reader who knows only English and the scene.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

Attributes = dict[str, str]
Box = tuple[float, float, float, float]

COLOURS = {
    name: name for name in ("red", "green", "blue", "yellow", "purple", "orange", "pink", "cyan", "brown", "white")
}
COLOURS |= {"violet": "purple", "turquoise": "cyan"}
SHAPES = {name: name for name in ("circle", "square", "triangle", "star", "ring", "cross", "heart", "diamond")}
SHAPES |= {"disc": "circle", "box": "square", "hoop": "ring", "plus sign": "cross", "rhombus": "diamond"}
TEXTURES = {"plain": "plain", "solid": "plain", "striped": "striped", "stripy": "striped"}
TEXTURES |= {"dotted": "dotted", "spotted": "dotted"}
SIZES = {"small": "small", "little": "small", "tiny": "small", "large": "large", "big": "large", "huge": "large"}
CLAUSES = {"with stripes": "striped", "with dots": "dotted", "without a pattern": "plain"}
FILLERS = ("thing", "shape", "object", "one")
RELATIONS = {
    words: direction
    for direction, all_words in {
        "left": ("left of", "to the left of", "on the left side of"),
        "right": ("right of", "to the right of", "on the right side of"),
        "above": ("above", "over"),
        "below": ("below", "under", "beneath"),
        "near": ("next to", "beside", "close to"),
    }.items()
    for words in all_words
}


def _one_of(words: Sequence[str] | dict[str, str]) -> str:
    return "|".join(sorted(words, key=len, reverse=True))


# English order: size, texture, colour, noun; what is said after the noun is not said before it.
NOUN_PHRASE = re.compile(
    rf"(?P<the>the )?(?:(?P<size>{_one_of(SIZES)}) )?(?:(?P<texture>{_one_of(TEXTURES)}) )?"
    rf"(?:(?P<colour>{_one_of(COLOURS)}) )?(?P<noun>{_one_of([*SHAPES, *FILLERS])})"
    rf"(?: (?P<clause>{_one_of(CLAUSES)})| that is (?P<late_colour>{_one_of(COLOURS)}))?"
)
RELATION = re.compile(rf"(?P<head>.+?)(?: that is)? (?P<relation>{_one_of(RELATIONS)}) (?P<anchor>the .+)")


@dataclass(frozen=True)
class Meaning:
    """What a phrase says: of the target, and of the one thing it is placed by."""

    attributes: Attributes
    relation: str = ""
    anchor: Attributes = field(default_factory=dict)


@dataclass(frozen=True)
class Thing:
    """An object of a scene: its attributes and its (x1, y1, x2, y2)."""

    attributes: Attributes
    box: Box

    def looks(self, attributes: Attributes) -> bool:
        """True where it has all the attributes."""
        return attributes.items() <= self.attributes.items()


def read_phrase(phrase: str) -> Meaning:
    """The meaning of a phrase.

    Raises:
        ValueError: it is not a noun phrase, with or without a relation to a second, definite one.
    """
    parts = RELATION.fullmatch(phrase)
    if parts is None:
        return Meaning(_read_noun_phrase(phrase))
    return Meaning(_read_noun_phrase(parts["head"]), RELATIONS[parts["relation"]], _read_noun_phrase(parts["anchor"]))


def denoted(meaning: Meaning, things: Sequence[Thing], *, strictly: bool) -> list[int]:
    """Indices of the things that the phrase fits: beyond dispute, or (not strictly) in anybody's eyes."""
    fitting = [i for i, thing in enumerate(things) if thing.looks(meaning.attributes)]
    if not meaning.relation:
        return fitting
    anchors = [i for i, thing in enumerate(things) if thing.looks(meaning.anchor)]
    is_placed = _surely if strictly else _arguably
    return [i for i in fitting if any(j != i and is_placed(meaning.relation, things[i], things[j]) for j in anchors)]


def _read_noun_phrase(phrase: str) -> Attributes:
    parts = NOUN_PHRASE.fullmatch(phrase)
    if parts is None:
        raise ValueError(f"{phrase!r} is no noun phrase")
    said = [
        ("size", SIZES.get(parts["size"])),
        ("texture", TEXTURES.get(parts["texture"])),
        ("texture", CLAUSES.get(parts["clause"])),
        ("colour", COLOURS.get(parts["colour"])),
        ("colour", COLOURS.get(parts["late_colour"])),
        ("shape", SHAPES.get(parts["noun"])),
    ]
    named = [(name, value) for name, value in said if value is not None]
    if len(dict(named)) < len(named):
        raise ValueError(f"{phrase!r} names one property twice")
    return dict(named)


def _surely(relation: str, thing: Thing, anchor: Thing) -> bool:
    """Nobody would object."""
    if relation == "near":
        return _gap(thing.box, anchor.box) < _mean_side(thing.box, anchor.box) / 4
    along = _distance(relation, thing.box, anchor.box)
    across = abs(_distance("above" if relation in ("left", "right") else "left", thing.box, anchor.box))
    axis = 0 if relation in ("left", "right") else 1
    lengths = [box[axis + 2] - box[axis] for box in (thing.box, anchor.box)]
    overlap = min(thing.box[axis + 2], anchor.box[axis + 2]) - max(thing.box[axis], anchor.box[axis])
    return along > across and along > _mean_side(thing.box, anchor.box) / 2 and overlap <= min(lengths) / 2


def _arguably(relation: str, thing: Thing, anchor: Thing) -> bool:
    """Somebody might say so."""
    if relation == "near":
        return _gap(thing.box, anchor.box) < 0.7 * _mean_side(thing.box, anchor.box)
    return _distance(relation, thing.box, anchor.box) > 0


def _distance(direction: str, box: Box, anchor: Box) -> float:
    """How far the middle of the box lies from the anchor's in the direction; negative on the other side."""
    axis, sign = {"left": (0, -1), "right": (0, 1), "above": (1, -1), "below": (1, 1)}[direction]
    return sign * ((box[axis] + box[axis + 2]) - (anchor[axis] + anchor[axis + 2])) / 2


def _gap(a: Box, b: Box) -> float:
    """Empty pixels between two boxes along x or y, whichever is more; 0 where they touch."""
    return max(a[0] - b[2], b[0] - a[2], a[1] - b[3], b[1] - a[3], 0)


def _mean_side(a: Box, b: Box) -> float:
    return sum(box[2] - box[0] + box[3] - box[1] for box in (a, b)) / 4
