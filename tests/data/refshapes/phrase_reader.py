"""Reads RefShapes phrases by the writer's word lists and none of its code; `phrase_judge` says what they denote.

A phrase that the package believes to fit one object has to do so for a reader who knows only English and the scene.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from grounding.data.refshapes import vocabulary

Attributes = dict[str, str]


def meaning_of(words: Mapping[str, Iterable[str]], keys: Iterable[str] | None = None) -> dict[str, str]:
    """Word -> what it means, of those that mean one of the keys."""
    return {word: key for key in (words if keys is None else keys) for word in words[key]}


COLOURS = meaning_of(vocabulary.ADJECTIVES, vocabulary.COLOURS)
TEXTURES = meaning_of(vocabulary.ADJECTIVES, vocabulary.TEXTURES)
MATERIALS = meaning_of(vocabulary.ADJECTIVES, vocabulary.MATERIALS)
NOUNS = meaning_of(vocabulary.NOUNS) | dict.fromkeys(vocabulary.ANY_NOUN, "")
PLURALS = {vocabulary.PLURALS.get(noun, noun + "s"): shape for noun, shape in NOUNS.items()}
CLAUSES = {
    said: ("texture" if value in vocabulary.TEXTURES else "material", value)
    for clause, value in meaning_of(vocabulary.CLAUSES).items()
    for said in (clause, clause.replace("looks", "look").replace("does", "do").replace("on it", "on them"))
}
SIZES, PLACES = meaning_of(vocabulary.SIZES), meaning_of(vocabulary.PLACES)
RELATIONS = meaning_of(vocabulary.RELATIONS)
# Of a rank, in what its objects are ordered, whether the smaller comes first, and from which place it counts.
ORDER_OF_RANK = {
    "largest": ("size", -1, 0), "smallest": ("size", 1, 0), "leftmost": ("x", 1, 0), "rightmost": ("x", -1, 0),
    "topmost": ("y", 1, 0), "lowest": ("y", -1, 0),
    "second from the left": ("x", 1, 1), "second from the right": ("x", -1, 1),
}  # fmt: skip
RANKS = {
    template: ORDER_OF_RANK[rank]
    for lists in (vocabulary.RANKS, vocabulary.RANKS_OF_TWO)
    for template, rank in meaning_of(lists).items()
}
FILLERS = re.compile(r" (?:in the picture|in this scene|that you can see)$")
DETERMINERS = "all of the|all the|all|both of the|both|the two|the three|the four"


def _one_of(words: Iterable[str]) -> str:
    return "|".join(sorted(words, key=len, reverse=True))


NOUN_PHRASE = re.compile(
    rf"(?:(?P<texture>{_one_of(TEXTURES)}) )?(?:(?P<material>{_one_of(MATERIALS)}) )?"
    rf"(?:(?P<colour>{_one_of(COLOURS)}) )?(?P<noun>{_one_of([*NOUNS, *PLURALS])})"
    rf"(?: (?P<clause>{_one_of(CLAUSES)})| that is (?P<late_colour>{_one_of(COLOURS)}))?"
)
PLACED = re.compile(
    rf"(?:(?:the|an?) )?(?:(?P<size>{_one_of(SIZES)}) )?(?P<head>.+?)"
    r"(?:(?: that is| and is)?(?: lying| sitting| placed)?"
    rf" (?:(?P<place>{_one_of(PLACES)})|(?P<relation>{_one_of(RELATIONS)}) the (?P<anchor>.+)))?"
)
WORDS = set(re.findall(r"\w+", " ".join(
    [*COLOURS, *NOUNS, *PLURALS, *TEXTURES, *MATERIALS, *CLAUSES, *SIZES, *RELATIONS, *PLACES, *RANKS, DETERMINERS,
     "the a an and that is in this scene picture you can see lying sitting placed"]
)))  # fmt: skip


@dataclass(frozen=True)
class Meaning:
    """What a phrase says: of the target, and one of a rank, a size, a place and a relation, or none."""

    attributes: Attributes
    rank: tuple[str, int, int] | None = None
    size: str = ""
    place: str = ""
    relation: str = ""
    anchor: Attributes = field(default_factory=dict)
    of_two: bool = False


def corrected(phrase: str) -> str:
    """The phrase with each unknown word replaced by the known one that it is a slip of."""
    slips = [word for word in phrase.split() if word not in WORDS]
    meant = {word: difflib.get_close_matches(word, WORDS, n=1, cutoff=0.75)[0] for word in slips}
    return " ".join(meant.get(word, word) for word in phrase.split())


def read_phrase(phrase: str) -> Meaning:
    """The meaning of a phrase for one object."""
    text = FILLERS.sub("", corrected(phrase))
    for template, rank in RANKS.items():
        match = re.fullmatch(template.replace("{}", "(?P<head>.+?)"), text)
        if match and NOUN_PHRASE.fullmatch(match["head"]):
            return Meaning(_read_noun_phrase(match["head"]), rank=rank, of_two="two" in template)
    match = PLACED.fullmatch(text)
    assert match is not None
    anchor = _read_noun_phrase(match["anchor"]) if match["anchor"] else {}
    head = _read_noun_phrase(match["head"])
    return Meaning(head, None, SIZES.get(match["size"], ""), PLACES.get(match["place"], ""),
                   RELATIONS.get(match["relation"], ""), anchor)  # fmt: skip


def read_set(phrase: str) -> list[Meaning]:
    """The meanings whose objects, together, a phrase for several objects fits; one of "the ... and the ..." each."""
    text = corrected(phrase)
    match = re.fullmatch(rf"(?:{DETERMINERS}) (?P<head>.+?)(?: (?P<place>{_one_of(PLACES)}))?", text)
    if match and NOUN_PHRASE.fullmatch(match["head"]):
        return [Meaning(_read_noun_phrase(match["head"]), place=PLACES.get(match["place"], ""))]
    return [Meaning(_read_noun_phrase(part.removeprefix("the "))) for part in text.split(" and ")]


def _read_noun_phrase(phrase: str) -> Attributes:
    parts = NOUN_PHRASE.fullmatch(phrase)
    assert parts is not None, f"{phrase!r} is no noun phrase"
    said = [
        ("texture", TEXTURES.get(parts["texture"])), ("material", MATERIALS.get(parts["material"])),
        ("colour", COLOURS.get(parts["colour"])), ("colour", COLOURS.get(parts["late_colour"])),
        CLAUSES.get(parts["clause"], ("", None)),
        ("shape", NOUNS.get(parts["noun"], PLURALS.get(parts["noun"])) or None),
    ]  # fmt: skip
    named = [(name, value) for name, value in said if value is not None]
    assert len(dict(named)) == len(named), f"{phrase!r} names one property twice"
    return dict(named)
