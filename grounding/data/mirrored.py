"""What a phrase says of the mirrored image: left and right change places."""

from __future__ import annotations

import re

OPPOSITE = {
    one + ending: other + ending
    for one, other in (("left", "right"), ("right", "left"))
    for ending in ("", "most", "hand", "ward", "wards")
}
WORD = re.compile(r"[^\W\d_]+")

# "Right next to" and "left behind" name no side. The words around tell: what stresses or is a participle has one of
# FOLLOWING behind it and none of PRECEDING before it, as "on the right behind the car" has. The rule is the same for
# both words, so that mirroring twice gives the phrase back.
FOLLOWING = re.compile(
    r"\s+(next|behind|beside|besides|above|below|under|underneath|beneath|near|by|against|there|here|on\s+top"
    r"|in\s+front|in\s+the\s+(middle|center|centre))\b",
    re.IGNORECASE,
)
PRECEDING = {
    "the", "a", "an", "to", "on", "at", "in", "from", "of", "and", "or", "far", "top", "bottom", "upper", "lower",
    "front", "back", "middle", "center", "centre", "his", "her", "its", "their", "your", "my", "our", "first",
    "second", "third",
}  # fmt: skip


def mirrored_phrase(phrase: str) -> str:
    """The phrase with "left" and "right" exchanged, also in "leftmost", "left-hand" and "leftward"; case is kept.

    Other words that contain them ("leftover", "bright") stay. Where "right" stresses what follows ("right next to",
    "right behind") or "left" is a participle ("left behind"), no side is meant, and the word stays; after an article
    or a preposition ("on the right behind her") it is a side all the same. Mirroring twice gives the phrase back.
    """
    pieces: list[str] = []
    end, previous = 0, ""
    for match in WORD.finditer(phrase):
        word = match.group()
        opposite = OPPOSITE.get(word.lower())
        no_side = FOLLOWING.match(phrase, match.end()) and previous not in PRECEDING
        if opposite is not None and not no_side:
            pieces += [phrase[end : match.start()], _in_case_of(word, opposite)]
            end = match.end()
        previous = word.lower()
    return "".join([*pieces, phrase[end:]])


def _in_case_of(word: str, other: str) -> str:
    if word.isupper():
        return other.upper()
    return other.capitalize() if word[0].isupper() else other
