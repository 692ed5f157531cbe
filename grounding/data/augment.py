"""Augmentation that moves boxes with pixels and leaves every phrase true: pictures are mirrored, and phrases with them.

In a mirror "left" and "right" change places where they mean a direction. "Right next to" and "left over" mean none and
stay as they are. Where the two readings cannot be told apart ("the cake left on a plate", "the right size"), or it is
the verb ("the cat that left the room"), the phrase forbids the mirror, as do words to be read in the picture, numbers,
clock times, and a count that tacitly starts at the left ("the second cow"). Words decide, not grammar, and in doubt the
answer forbids: an augmentation left out costs less than a phrase made untrue.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np

from grounding.types import SetExample

OFTEN = 0.5


@dataclass(frozen=True)
class AugmentationConfig:
    """What happens to training images at random, where the phrases drawn for them permit it.

    Attributes:
        flip: the picture is mirrored, and "left" and "right" change places in its phrases.
    """

    flip: bool = False


def augment(example: SetExample, config: AugmentationConfig, *, rng: np.random.Generator) -> SetExample:
    """An example with the expressions that are asked of it, or its mirror image, where `config` and these permit it."""
    # Of three that are drawn the last decides: that is what a seed means.
    flips = rng.random(3)[2] < OFTEN
    return _mirrored(example) if flips and config.flip and all(map(can_be_mirrored, example.phrases)) else example


def _mirrored(example: SetExample) -> SetExample:
    height, width = example.image.shape[:2]
    sides = np.array([width, height, width, height], dtype=np.float32)
    shares = example.boxes_xyxy.clip(0, sides) / sides
    shares[:, [0, 2]] = 1 - shares[:, [2, 0]]
    in_order = map(tuple, (shares * sides).tolist())
    expressions = tuple(
        replace(each, phrase=mirrored_phrase(each.phrase), boxes_xyxy=tuple(islice(in_order, len(each.boxes_xyxy))))
        for each in example.expressions
    )
    return SetExample(np.ascontiguousarray(example.image[:, ::-1]), expressions)


# RefCOCOg's sentences come tokenised: "it ' s", "t - shirt". Every joint between words may therefore be spaced.
_DIRECTION = re.compile(
    r"(?<![\w'])(?P<word>left|right)(?=(?:\s?-?\s?most|\s?-?\s?hand(?:ed|er|side)?|-?side|wards?|y|ies?)?\b)", re.I
)
# Before a direction: an article, a preposition, an owner or another word of place.
_MARKED = re.compile(
    r"(?:\b(?:the|a|on|to|from|at|in|towards?|of|far|farther|farthest|further|furthest|most|extreme|very|upper|lower|"
    r"top|bottom|front|back|rear|his|her|its|their|my|your)|(?<=\w)(?<!what)\s?'\s?s|s\s?')\s?-?\s?$",
    re.I,
)
_LOOKS = re.compile(r"\b(?:facing|faced|faces|looking|looks|pointing|leaning|turning|turned)\s+$", re.I)
_ADVERB = re.compile(
    r"\s+(?:next|in\s+front|in\s+(?:the\s+)?(?:middle|cent(?:er|re))|in\s+between|on\s+top|behind|above|below|beneath|"
    r"under|underneath|beside|besides|near|before|after|beyond|against|outside|inside|over|up|down|across|around|along|"
    r"alongside|adjacent|between|off|out|here|there|now|away|where|as)\b",
    re.I,
)
_NEVER_A_DIRECTION = re.compile(
    r"(?:\s?-?\s?side\s?-?\s?up|\s+way(?:\s+up)?|\s?-?\s?angled?|\s?-\s?over|\s+overs?)\b", re.I
)
_PERHAPS_NONE = re.compile(
    r"\s+(?:in|on|at|by|for|with|alone|open|uneaten|untouched|unattended|empty|standing|to\s+(?!the\b)\w+)\b", re.I
)
_REMAINS = re.compile(
    r"(?:\b(?:slices?|pieces?|portions?|bites?|food|any|anything|nothing|some|much|has|have|had|been|being)"
    r"|\bwhat(?:\s+is|\s?'?\s?s))\s+$",
    re.I,
)
# "Left" as a verb, by its subject or by its object.
_SUBJECT = re.compile(r"\b(?:who|that|which|he|she|they|someone|somebody)\s+$", re.I)
_OBJECT = re.compile(
    r"\s+(?:the|an?|his|her|its|their|my|your|our|this|that|these|those|him|it|them|us|me|you|everyone|everything)\b",
    re.I,
)
# "Right" as in "correct"; the place of one of several answers is said in the same words.
_PERHAPS_CORRECT = re.compile(
    r"\s+(?:of\s+way|answers?|choices?|decisions?|sized?|sizes|shaped?|shapes|kinds?|sorts?|types?|amounts?|times?|"
    r"ideas?)\b",
    re.I,
)
_IS = re.compile(r"\b(?:is|are|was|were|be)\s+$", re.I)
_OF = re.compile(r"\s+of\b", re.I)

_READABLE = re.compile(
    r"""\d|[#"“”]|\b(?:says?|saying|said|reads|words?|wording|letters?|lettered|lettering|text|texts|numbers?|numbered|
    numerals?|digits?|written|writing|writings|spell(?:s|ed|ing)?|labell?ed|labels?|titled?|named|initials|inscribed|
    inscription|caption|logos?|plates?\snumber|o\s?'?\s?clock|oclock|noon|midnight|half\spast|quarter\s(?:past|to)|
    (?:counter|anti)?\s?-?clockwise|(?:driver|passenger)\s?'?\s?s?\s?'?\sside)\b
    |\breading\s+(?!(?:an?|the|his|her|their|some|from|to|books?|newspapers?|magazines?|glasses|and|in|on)\b)\w""",
    re.I | re.X,
)
_CAPITALS = re.compile(r"\b(?!TVs?\b)[A-Z]{2,}\b")  # what a sign says, in a phrase that is otherwise in small letters
_COUNTED = re.compile(r"\b(?:first|second|third|fourth|fifth|sixth|seventh|last|\d+(?:st|nd|rd|th))\b", re.I)

_OPPOSITE = {"left": "right", "right": "left"}


def mirrored_phrase(phrase: str) -> str:
    """The phrase for the mirrored picture: every "left" and "right" that is a direction swapped, its case kept.

    Also in "leftmost", "right-hand", "left-handed", "rightward" and "lefty". Of a phrase that cannot be mirrored, the
    words that are no direction for certain stay.
    """
    return _DIRECTION.sub(lambda match: _swapped(match["word"]) if _is_direction(match) else match["word"], phrase)


def can_be_mirrored(phrase: str) -> bool:
    """Whether `mirrored_phrase` is as true of the mirrored picture as the phrase is of this one."""
    directions = [_is_direction(match) for match in _DIRECTION.finditer(phrase)]
    said_in_capitals = _CAPITALS.search(phrase) and not phrase.isupper()
    counted_from_nowhere = _COUNTED.search(phrase) and True not in directions
    return not (_READABLE.search(phrase) or said_in_capitals or counted_from_nowhere or None in directions)


def _is_direction(match: re.Match[str]) -> bool | None:
    """True or False, or None where both can be meant; "left" and "right" alike, so that mirroring undoes itself."""
    before, after = match.string[: match.start()], match.string[match.end() :]
    if _NEVER_A_DIRECTION.match(after):
        return False
    if _PERHAPS_CORRECT.match(after):
        return None
    if _MARKED.search(before):
        return True
    follows = _ADVERB.match(after)
    if follows:
        return False if match["word"].lower() == "right" and not _LOOKS.search(before) else None
    verb = (_SUBJECT.search(before) and not _OF.match(after)) or _OBJECT.match(after)
    remains = _REMAINS.search(before) or (_IS.search(before) and not _OF.match(after))
    return None if verb or remains or _PERHAPS_NONE.match(after) else True


def _swapped(word: str) -> str:
    opposite = _OPPOSITE[word.lower()]
    if word.isupper():
        return opposite.upper()
    return opposite.capitalize() if word[0].isupper() else opposite
