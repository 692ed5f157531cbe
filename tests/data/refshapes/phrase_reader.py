"""Reads RefShapes phrases, knowing nothing of the code that writes them; `phrase_judge` says what they denote.

The word lists and the rules of position are written down here a second time on purpose: a phrase that the package
believes to fit one object has to do so for a reader who knows only English and the scene.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

Attributes = dict[str, str]

BASIC = "red green blue yellow purple orange pink cyan brown white black gray"
COLOURS = {name: name for name in BASIC.split()}
COLOURS |= {"violet": "purple", "turquoise": "cyan", "grey": "gray"}
SHAPES = "circle square triangle star ring cross heart diamond hexagon crescent arrow drop flower leaf house fish"
NOUNS = {name: name for name in SHAPES.split()}
NOUNS |= {"disc": "circle", "box": "square", "hoop": "ring", "plus sign": "cross", "rhombus": "diamond"}
NOUNS |= {"moon": "crescent", "teardrop": "drop", "blossom": "flower"}
NOUNS |= dict.fromkeys(("object", "thing", "shape", "one"), "")
IRREGULAR = {"boxes": "box", "crosses": "cross", "leaves": "leaf", "fishes": "fish", "rhombuses": "rhombus"}
PLURALS = {noun + "s": shape for noun, shape in NOUNS.items() if noun not in IRREGULAR.values()}
PLURALS |= {plural: NOUNS[noun] for plural, noun in IRREGULAR.items()}
TEXTURES = {"plain": "plain", "solid": "plain", "striped": "striped", "stripy": "striped", "dotted": "dotted"}
TEXTURES |= {"spotted": "dotted", "checked": "checked", "checkered": "checked", "zigzag": "zigzag"}
TEXTURES |= {"zigzagged": "zigzag", "marbled": "marbled", "mottled": "marbled"}
MATERIALS = {"matte": "matte", "dull": "matte", "shiny": "shiny", "glossy": "shiny", "metallic": "shiny"}
MATERIALS |= {"glass": "glass", "transparent": "glass"}
CLAUSES = {
    "without a pattern": ("texture", "plain"),
    "with stripes": ("texture", "striped"), "with stripes on it": ("texture", "striped"),
    "with stripes on them": ("texture", "striped"),
    "with dots": ("texture", "dotted"), "covered in dots": ("texture", "dotted"),
    "with a checkerboard pattern": ("texture", "checked"), "with checks on it": ("texture", "checked"),
    "with checks on them": ("texture", "checked"),
    "with zigzag lines": ("texture", "zigzag"), "with a zigzag pattern": ("texture", "zigzag"),
    "with a marbled pattern": ("texture", "marbled"), "that looks like marble": ("texture", "marbled"),
    "that look like marble": ("texture", "marbled"),
    "with a matte surface": ("material", "matte"), "that does not shine": ("material", "matte"),
    "that do not shine": ("material", "matte"),
    "with a shiny surface": ("material", "shiny"), "that looks like metal": ("material", "shiny"),
    "that look like metal": ("material", "shiny"),
    "made of glass": ("material", "glass"), "that you can see through": ("material", "glass"),
}  # fmt: skip
SIZES = dict.fromkeys(("large", "big", "huge"), "large") | dict.fromkeys(("small", "little", "tiny"), "small")
RELATIONS = {
    words: relation
    for relation, all_words in {
        "left": ("left of", "to the left of", "on the left side of"),
        "right": ("right of", "to the right of", "on the right side of"),
        "above": ("above", "over"), "below": ("below", "under", "beneath"), "near": ("next to", "beside", "close to"),
        "front": ("in front of", "partly covering", "overlapping"),
        "behind": ("behind", "partly hidden by", "partly covered by"),
    }.items()
    for words in all_words
}  # fmt: skip
PLACES = {
    words: place
    for place, all_words in {
        "left": ("on the left", "on the left side of the picture"),
        "right": ("on the right", "on the right side of the picture"),
        "top": ("at the top", "near the top of the picture"),
        "bottom": ("at the bottom", "near the bottom of the picture"),
        "middle": ("in the middle", "in the center of the picture"),
        **{f"{v} {h}": (f"in the {v} {h} corner", f"in the {w} {h}")
           for v, w in (("top", "upper"), ("bottom", "lower")) for h in ("left", "right")},
    }.items()
    for words in all_words
}  # fmt: skip
# Words in front of the noun phrase, words behind it, and (key, whether smaller comes first, from which place).
RANKS = {
    ("largest", ""): ("size", -1, 0), ("biggest", ""): ("size", -1, 0),
    ("smallest", ""): ("size", 1, 0), ("tiniest", ""): ("size", 1, 0),
    ("leftmost", ""): ("x", 1, 0), ("", "furthest to the left"): ("x", 1, 0),
    ("rightmost", ""): ("x", -1, 0), ("", "furthest to the right"): ("x", -1, 0),
    ("topmost", ""): ("y", 1, 0), ("highest", ""): ("y", 1, 0), ("", "closest to the top"): ("y", 1, 0),
    ("lowest", ""): ("y", -1, 0), ("", "closest to the bottom"): ("y", -1, 0),
    ("second", "from the left"): ("x", 1, 1), ("second", "from the right"): ("x", -1, 1),
    ("larger of the two", ""): ("size", -1, 0), ("bigger of the two", ""): ("size", -1, 0),
    ("smaller of the two", ""): ("size", 1, 0), ("left one of the two", ""): ("x", 1, 0),
    ("right one of the two", ""): ("x", -1, 0), ("upper one of the two", ""): ("y", 1, 0),
    ("lower one of the two", ""): ("y", -1, 0),
}  # fmt: skip
FILLERS = re.compile(r" (?:in the picture|in this scene|that you can see)$")
DETERMINERS = "all of the|all the|all|both of the|both|the two|the three|the four"


def _one_of(words: Sequence[str] | dict[str, str]) -> str:
    return "|".join(sorted(words, key=len, reverse=True))


NOUN_PHRASE = re.compile(
    rf"(?:(?P<texture>{_one_of(TEXTURES)}) )?(?:(?P<material>{_one_of(MATERIALS)}) )?"
    rf"(?:(?P<colour>{_one_of(COLOURS)}) )?(?P<noun>{_one_of([*NOUNS, *PLURALS])})"
    rf"(?: (?P<clause>{_one_of(list(CLAUSES))})| that is (?P<late_colour>{_one_of(COLOURS)}))?"
)
PLACED = re.compile(
    rf"(?:(?:the|an?) )?(?:(?P<size>{_one_of(SIZES)}) )?(?P<head>.+?)"
    r"(?:(?: that is| and is)?(?: lying| sitting| placed)?"
    rf" (?:(?P<place>{_one_of(list(PLACES))})|(?P<relation>{_one_of(list(RELATIONS))}) the (?P<anchor>.+)))?"
)
WORDS = set(re.findall(r"\w+", " ".join(
    [*COLOURS, *NOUNS, *PLURALS, *TEXTURES, *MATERIALS, *CLAUSES, *SIZES, *RELATIONS, *PLACES, DETERMINERS,
     *(word for pair in RANKS for word in pair),
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
    words = []
    for word in phrase.split():
        if word not in WORDS:
            near = difflib.get_close_matches(word, WORDS, n=1, cutoff=0.75)
            if not near:
                raise ValueError(f"{word!r} is no word")
            word = near[0]
        words.append(word)
    return " ".join(words)


def read_phrase(phrase: str) -> Meaning:
    """The meaning of a phrase for one object.

    Raises:
        ValueError: it is not one that a person could read so.
    """
    text = FILLERS.sub("", corrected(phrase))
    for (before, after), rank in RANKS.items():
        match = re.fullmatch(rf"the {before + ' ' if before else ''}(?P<head>.+?){' ' + after if after else ''}", text)
        if match and NOUN_PHRASE.fullmatch(match["head"]):
            return Meaning(_read_noun_phrase(match["head"]), rank=rank, of_two="two" in before)
    match = PLACED.fullmatch(text)
    assert match is not None
    anchor = _read_noun_phrase(match["anchor"]) if match["anchor"] else {}
    head = _read_noun_phrase(match["head"])
    return Meaning(head, None, SIZES.get(match["size"], ""), PLACES.get(match["place"], ""),
                   RELATIONS.get(match["relation"], ""), anchor)  # fmt: skip


def read_set(phrase: str) -> list[Meaning]:
    """The meanings whose objects, together, a phrase for several objects fits; one of "the ... and the ..." each."""
    text = corrected(phrase)
    match = re.fullmatch(rf"(?:{DETERMINERS}) (?P<head>.+?)(?: (?P<place>{_one_of(list(PLACES))}))?", text)
    if match and NOUN_PHRASE.fullmatch(match["head"]):
        return [Meaning(_read_noun_phrase(match["head"]), place=PLACES.get(match["place"], ""))]
    return [Meaning(_read_noun_phrase(part.removeprefix("the "))) for part in text.split(" and ")]


def _read_noun_phrase(phrase: str) -> Attributes:
    parts = NOUN_PHRASE.fullmatch(phrase)
    if parts is None:
        raise ValueError(f"{phrase!r} is no noun phrase")
    said = [
        ("texture", TEXTURES.get(parts["texture"])), ("material", MATERIALS.get(parts["material"])),
        ("colour", COLOURS.get(parts["colour"])), ("colour", COLOURS.get(parts["late_colour"])),
        CLAUSES.get(parts["clause"], ("", None)),
        ("shape", NOUNS.get(parts["noun"], PLURALS.get(parts["noun"])) or None),
    ]  # fmt: skip
    named = [(name, value) for name, value in said if value is not None]
    if len(dict(named)) < len(named):
        raise ValueError(f"{phrase!r} names one property twice")
    return dict(named)
