"""Which changes of a picture its phrases permit: what they name must not be what the change alters.

Words decide, not grammar, and in doubt the answer forbids: an augmentation left out costs less than a phrase made
untrue.

In a mirror "left" and "right" change places where they mean a direction. "Right next to" and "left over" mean none and
stay as they are. Where the two readings cannot be told apart ("the cake left on a plate", "the right size"), or it is
the verb ("the cat that left the room"), the phrase forbids the mirror, as do words to be read in the picture, numbers,
clock times, and a count that tacitly starts at the left ("the second cow").
"""

from __future__ import annotations

import re

from grounding.data.relations import relates

_PICTURE = r"(?:pictures?|photo(?:s|graph)?|images?|frame|screen|shot|scene|view)"
_OF_A_THING = rf"\s+of\s+(?!(?:\w+\s+){{0,3}}{_PICTURE}\b)\w"
_SIDES = "left|right|top|bottom|upper|lower|corner|edge"
_BESIDE_A_THING = rf"(?:\s?-?\s?(?:left|right|hand|side|end|edge|corner|part|half))*{_OF_A_THING}"
_PLACE = re.compile(
    rf"""
    \b(?:middle(?!\s?-?\s?aged?\b)|cent(?:er|re)(?:ed|d|most)?|central)\b
    |\b(?:back|fore)\s?ground\b|\bdistance\b|\bin\s+(?:the\s+)?(?:very\s+)?(?:back|front)\b(?!{_OF_A_THING})
    |\b(?:first|second|third|fourth|fifth|sixth|last|\d+(?:st|nd|rd|th))\b
    |\bof\s+(?:the\s+)?(?:two|three|four|five|six|\d+)\b
    |\b(?:{_SIDES})(?:\s?hand)?(?:side)?\b(?!\s?-?\s?most\b)(?!{_BESIDE_A_THING})""",
    re.I | re.X,
)
# What `relates` does not count: among photographs it would be parts and clothes too often, but keeping an object too
# many costs a crop little. The first line takes in all that _PLACE leaves out as beside a thing.
_ANOTHER = re.compile(
    rf"""
    \b(?:{_SIDES}|side|end|front|back|rear)(?:\s?hand)?(?:side)?\b{_BESIDE_A_THING}
    |\b(?:inside|within|outside|around|alongside|along|among|amongst|across|opposite|atop|onto|into|by)\b
    |\b(?:adjacent|touch(?:es|ing)|lean(?:s|ing)|attached)\b""",
    re.I | re.X,
)
# A direction that is a person's or a thing's own, or that of a gaze, and the "right" that is none: no place at all.
_OWN_DIRECTION = re.compile(
    rf"""
    (?:\b(?:his|her|its|their)|(?<=\w)\s?'\s?s|s\s?')\s+(?:left|right)\b(?:\s?hand\b)?
     (?!\s+(?:(?:most|side|corner)\b|{_PICTURE}\b))
    |\b(?:left|right)\s+(?:arm|leg|foot|eye|ear|shoulder|knee|thumb|wrist|paw|elbow|hip)s?\b
    |\b(?:facing|faced|looking|pointing|leaning|turned|walking|running|moving|going|heading|headed)\s+
     (?:(?:to|towards?)\s+)?(?:the\s+|its\s+|their\s+)?(?:left|right)\b(?!\s+(?:side|corner)\b)
    |\b(?<!the\s)(?<!on\s)(?<!at\s)right\s+(?:next|behind|above|below|beside|under|beneath|near|by|in\s+front)\b
    |\bon\s+top\b|\bleft\s?-?\s?over\b|\b(?:tank|crop|halter|sleeveless)\s+tops?\b""",
    re.I | re.X,
)


def names_place(phrase: str) -> bool:
    """Whether a phrase may cease to be true when the picture is cropped around its object.

    So it is of places in the picture ("on the left", "in the middle", "top right corner", "background") and of counts
    that lose their start ("second from the left", "of three"). Not of places beside another object ("left of the
    dog", "on the left side of the bench"), of superlatives ("leftmost", "closest to the camera"), which are true among
    fewer too, of "in front of", of a person's own left hand, or of a gaze.
    """
    return _PLACE.search(_OWN_DIRECTION.sub(" ", phrase)) is not None


def names_another(phrase: str) -> bool:
    """Whether a phrase may need another object in the picture to be true.

    So it is of all that `relates` counts, of places beside another object, which `names_place` lets through ("on the
    left side of the bench", "in back of the car"), and of further words that tie one to another ("inside", "around",
    "touching").
    """
    texts = (phrase, _OWN_DIRECTION.sub(" ", phrase))  # `names_place` reads the second
    return relates(phrase) or any(_ANOTHER.search(text) is not None for text in texts)


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


def mirrored_phrase(phrase: str) -> str:
    """The phrase for the mirrored picture: every "left" and "right" that is a direction swapped, its case kept.

    Also in "leftmost", "right-hand", "left-handed", "rightward" and "lefty". Twice mirrored is once said.
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
    opposite = "right" if word.lower() == "left" else "left"
    if word.isupper():
        return opposite.upper()
    return opposite.capitalize() if word[0].isupper() else opposite
