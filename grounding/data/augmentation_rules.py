"""Which changes of a picture its phrases permit: what they name must not be what the change alters.

Words decide, not grammar, and in doubt the answer forbids: an augmentation left out costs less than a phrase made
untrue.
"""

from __future__ import annotations

import re

from grounding.data.relations import relates

# "reddish", "greener", "browns" and, as RefCOCOg's annotators spell it, "redish" and "multi - coloured".
_COLOURS = re.compile(
    r"""\b(?:
    (?:black|white|gr[ae]y|red|redd|green|blue|yellow|orange|purple|pink|brown|cyan|turquoise|teal|aqua|magenta|fuchsia|
    violet|lavender|lilac|indigo|maroon|burgundy|crimson|scarlet|peach|rose|coral|gold|mustard|lime|olive|mint|navy|
    khaki|beige|tan|tann|cream|ivory|silver|bronze|copper|charcoal|chocolate|caramel|chestnut|ginger|auburn|tawny|
    blond|blonde|brunett?e?|rust|pastel|rainbow|sepia|monochrome)(?:ish|s|er|est|ed|en|y)?
    |redhead(?:s|ed)?|(?:multi\s?-?\s?)?colou?r\w*|(?:over|un)?\s?-?\s?ripe
    |light\w*|dark\w*|dim|bright\w*|pale\w*|faded|shad(?:e|es|ed|y|ow|ows|owed|owy)|sunny|sunlit|sunlight|lit|unlit|
    backlit|shiny|glossy|glowing|neon|silhouettes?)\b""",
    re.I | re.X,
)
_SHARPNESS = re.compile(r"\b(?:un)?(?:blur\w*|focus\w*|sharp\w*|fuzzy|hazy|grainy|noisy|pixel\w*|crisp)\b", re.I)

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


def names_colour(phrase: str) -> bool:
    """Whether a phrase names a colour or a brightness, of anything: "blond", "reddish", "dark", "in the shadow"."""
    return _COLOURS.search(phrase) is not None


def names_sharpness(phrase: str) -> bool:
    """Whether a phrase says how sharp something looks: "blurry", "out of focus"."""
    return _SHARPNESS.search(phrase) is not None


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
