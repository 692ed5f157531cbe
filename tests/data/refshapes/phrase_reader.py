"""Reads RefShapes phrases and judges what they denote, knowing nothing of the code that writes them.

The word lists and the rules of position are written down here a second time on purpose: a phrase that the package
believes to fit one object has to do so for a reader who knows only English and the scene.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

Attributes = dict[str, str]

COLOURS = {
    name: name
    for name in [
        "red",
        "green",
        "blue",
        "yellow",
        "purple",
        "orange",
        "pink",
        "cyan",
        "brown",
        "white",
        "black",
        "gray",
    ]
}
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


@dataclass(frozen=True)
class Thing:
    """An object of a scene: attributes, (x1, y1, x2, y2), side of its drawing, and the shares of others it covers."""

    attributes: Attributes
    box: tuple[float, float, float, float]
    side: float
    covers: Sequence[float]

    def looks(self, attributes: Attributes, *, strictly: bool) -> bool:
        """True where it has all the attributes; a tiny thing's surface is a matter of opinion."""
        for name, value in attributes.items():
            if self.side < 26 and name in ("texture", "material"):
                if strictly:
                    return False
            elif self.attributes[name] != value:
                return False
        return True

    @property
    def centre(self) -> tuple[float, float]:
        return (self.box[0] + self.box[2]) / 2, (self.box[1] + self.box[3]) / 2


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


def denoted(meaning: Meaning, things: Sequence[Thing], size: tuple[int, int], *, strictly: bool) -> list[int]:
    """Indices of the things in an image of `size` (W, H) that the phrase fits: beyond dispute, or in anybody's eyes."""
    fitting = [i for i, thing in enumerate(things) if thing.looks(meaning.attributes, strictly=strictly)]
    rivals = [i for i, thing in enumerate(things) if thing.looks(meaning.attributes, strictly=False)]
    if meaning.of_two and len(rivals) != 2:
        return []
    if meaning.rank:
        return [i for i in fitting if _is_at(i, *meaning.rank, rivals, things, size, strictly=strictly)]
    if meaning.size:
        order = -1 if meaning.size == "large" else 1
        return [i for i in fitting if _is_at(i, "clear size", order, 0, rivals, things, size, strictly=strictly)]
    if meaning.place:
        return [i for i in fitting if _is_in(meaning.place, things[i], size, strictly=strictly)]
    if meaning.relation:
        anchors = [i for i, thing in enumerate(things) if thing.looks(meaning.anchor, strictly=strictly)]
        stands = _surely if strictly else _arguably
        return [i for i in fitting if any(j != i and stands(meaning.relation, i, j, things) for j in anchors)]
    return fitting


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


def _is_at(
    index: int, key: str, order: int, place: int, rivals: list[int], things: Sequence[Thing], size: tuple[int, int],
    *, strictly: bool,
) -> bool:  # fmt: skip
    """Whether it is the first (place 0) or second in that order among its rivals, of which there must be enough."""
    if len(rivals) < place + 2:
        return False
    margin = {"clear size": math.log(1.3), "size": math.log(1.15)}.get(key, 0.05)

    def value(i: int) -> float:
        if key.endswith("size"):
            return order * math.log(things[i].side)
        axis = "xy".index(key)
        return order * things[i].centre[axis] / size[axis]

    before = [value(i) < value(index) - margin for i in rivals if i != index]
    perhaps = [value(i) < value(index) + margin for i in rivals if i != index]
    return sum(before) == sum(perhaps) == place if strictly else sum(before) <= place <= sum(perhaps)


def _is_in(place: str, thing: Thing, size: tuple[int, int], *, strictly: bool) -> bool:
    x, y = thing.centre[0] / size[0], thing.centre[1] / size[1]
    if place == "middle":
        return max(abs(x - 0.5), abs(y - 0.5)) < (0.13 if strictly else 0.25)
    limit = 1 / 3 if strictly else 1 / 2
    inside = {"left": x < limit, "right": x > 1 - limit, "top": y < limit, "bottom": y > 1 - limit}
    return all(inside[word] for word in place.split())


def _surely(relation: str, i: int, j: int, things: Sequence[Thing]) -> bool:
    """Nobody would object."""
    thing, anchor = things[i], things[j]
    if relation in ("front", "behind"):
        near, far = (i, j) if relation == "front" else (j, i)
        return things[near].covers[far] >= 0.12
    if relation == "near":
        return _gap(thing.box, anchor.box) < _mean_side(thing, anchor) / 4
    along = _distance(relation, thing, anchor)
    across = abs(_distance("above" if relation in ("left", "right") else "left", thing, anchor))
    return along > across and along > _mean_side(thing, anchor) / 2


def _arguably(relation: str, i: int, j: int, things: Sequence[Thing]) -> bool:
    """Somebody might say so."""
    thing, anchor = things[i], things[j]
    if relation in ("front", "behind"):
        near, far = (i, j) if relation == "front" else (j, i)
        boxes_meet = _gap(thing.box, anchor.box) == 0 and min(_overlaps(thing.box, anchor.box)) > 0
        return things[near].covers[far] > 0.01 or (near > far and boxes_meet)
    if relation == "near":
        return _gap(thing.box, anchor.box) < 0.7 * _mean_side(thing, anchor)
    return _distance(relation, thing, anchor) > 0


def _distance(direction: str, thing: Thing, anchor: Thing) -> float:
    """How far the middle lies from the anchor's in the direction; negative on the other side."""
    axis, sign = {"left": (0, -1), "right": (0, 1), "above": (1, -1), "below": (1, 1)}[direction]
    return sign * (thing.centre[axis] - anchor.centre[axis])


def _overlaps(a: Sequence[float], b: Sequence[float]) -> tuple[float, float]:
    return min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])


def _gap(a: Sequence[float], b: Sequence[float]) -> float:
    """Empty pixels between two boxes along x or y, whichever is more; 0 where they touch."""
    return max(0.0, *(-each for each in _overlaps(a, b)))


def _mean_side(a: Thing, b: Thing) -> float:
    return sum(box[2] - box[0] + box[3] - box[1] for box in (a.box, b.box)) / 4
