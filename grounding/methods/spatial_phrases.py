"""What a phrase says about places and sizes: a head noun phrase, superlatives, and relations to anchors.

The first half of ReCLIP (Subramanian et al. 2022, "ReCLIP: A Strong Zero-Shot Baseline for Referring Expression
Comprehension", section 3.2); `reclip` has the second. Simplified against the paper: no dependency parser but
a small grammar of English connectors, which decides by order alone: what follows a connector is its anchor, and what
follows the anchor describes the anchor, unless a further connector is joined by "and" or a comma. There is no
"inside" and no "between", and "behind" and "in front of", in the authors' program the same as above and below, are no
rules here.

Connectors without a rule ("next to", "beside", "with", "in front of") stay in the noun phrase together with what
follows them, as in the authors' program: of "the bigger dog next to the man" CLIP is asked for "the dog next to the
man", and where there is no rule at all for the phrase as it is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

DIRECTION_OF_WORD = {
    "left": "left",
    "right": "right",
    **dict.fromkeys(("above", "over", "atop", "top", "upper", "highest"), "above"),
    **dict.fromkeys(("below", "under", "beneath", "underneath", "bottom", "lower", "lowest"), "below"),
    **dict.fromkeys(("bigger", "biggest", "larger", "largest", "taller", "tallest"), "bigger"),
    **dict.fromkeys(("smaller", "smallest", "shorter", "shortest"), "smaller"),
}
MAX_RELATIONS = 8  # nobody says more in one phrase, and a nonsensical one stays a shallow tree

# What may be left hanging where a rule was cut out: "the man that is (on the left)".
DANGLING = re.compile(
    r"(?:and|but|far|that|thats|that's|which|who|whose|is|are|was|located|situated|positioned|placed|just|next|near|"
    r"to|from|the)?",
    re.IGNORECASE,
)
NAMES_NOTHING = re.compile(rf"(?:a|an|this|of|{DANGLING.pattern})", re.IGNORECASE)
PUNCTUATION = ",.;:"

# Pieces of the patterns, all for lower case and single spaces.
SIDE = "(?:left|right)"
LEVEL = "(?:top|bottom|upper|lower)"
SIZE = "(?:bigger|biggest|larger|largest|taller|tallest|smaller|smallest|shorter|shortest)"
DEGREE = "(?:far|very|extreme|most|furthest|farthest)"
REGION = "(?:side|corner|end|edge|part|row|area|picture|image|photo)"
PICTURE = "(?:the |this )?(?:picture|photograph|photo|image|pic|screen|shot|scene)"
BODY_PART = r"(?:hand\w*|arms?|legs?|foot|feet|eyes?|ears?|shoulders?|knees?|paws?|wings?|body|lips?|sleeves?)"
PRONOUN = "(?:it|its|itself|him|his|himself|her|hers|herself|them|their|they|me|my|us|you|your|each)"
SIDE_PLACE = (
    rf"(?:(?:{DEGREE}|{LEVEL}|front|back)[ -]+)*{SIDE}(?:[ -]*most)?(?:[ -]*hand(?= {REGION}))?"
    rf"(?: {LEVEL})?(?: {REGION}\b)?"
)
LEVEL_PLACE = rf"(?:very )?{LEVEL}(?:[ -]*most)?(?: {REGION}\b)?"
# A place is complete where the phrase ends or goes on with one of these; "on the left couch" says which couch instead.
PLACE_ENDS = (
    rf"\b(?: (?:of|in|on) {PICTURE}\b)?"
    rf"(?=$| ?[{PUNCTUATION}]| (?:with|without|in|on|at|by|that|thats|who|which|whose|and|but|not|is|was|are|has|near|"
    r"next|behind|beside|under|above|below|closest|(?!building|painting|railing)\w{2,}ing)\b)"
)

# Words that look like a rule and are none.
NO_RULE = re.compile(
    r"\b(?:"
    # the way that something faces or goes
    r"(?:fac|look|turn|lean|walk|run|runn|head|mov|go|point|bend|tilt|star|gaz)(?:e|s|es|ed|ing)(?: back| off)?"
    rf"(?: to| towards?)?(?: the)? {SIDE}\b(?: side)?(?! of)"
    # a counted place
    r"|(?:first|second|third|fourth|fifth|\d+(?:st|nd|rd|th))(?: [^\s]+){0,3}? (?:from|to) (?:the )?"
    rf"(?:{SIDE}|{LEVEL})\b(?: of)?"
    # somebody's own side
    rf"|(?:his|her|its|their|s) {SIDE}\b(?: side)?"
    # the place of a part: "cake with candles on top"
    rf"|(?:with|and)(?: [^\s{PUNCTUATION}]+){{1,6}}? (?:on|at) (?:the )?{LEVEL}\b(?! of)"
    # "over" that belongs to a verb
    r"|(?:lean|look|bend|turn|jump|peek|peak|peer|reach|hunch|fold|climb|step|tip|knock)(?:s|es|ed|ing|ping)? over"
    r"|(?:all|left|bent) over|over (?:to|there|and|all)"
    # a part of the body, but not "the left hand side"
    rf"|{SIDE}[ -]+hand(?!\w| {REGION})|{SIDE} (?!hand){BODY_PART}"
    r")\b"
)
# Of a pronoun ("under it", "on top of his head") the anchor would be the head itself or a part of it.
RELATION = re.compile(
    r"(?:\b(?:right|just|directly|immediately|slightly|somewhat|much|way|far|furthest|farthest|closest) )*"
    r"\b(?P<words>"
    r"(?:(?:above|below) and )?"
    rf"(?:(?:on|to|off to|at|in|tot) (?:the |he )?(?:{SIDE_PLACE}|{LEVEL_PLACE})|(?<!the )(?<!a ){SIDE}) of"
    r"|above|over|atop|below|under|underneath|beneath"
    rf"|{SIZE} than"
    rf") (?!{PRONOUN}\b)(?!{PICTURE}\b)(?=\w)"
)
# What stands before or after the words is cut out with them, but for a determiner at the beginning.
SUPERLATIVES = tuple(
    re.compile(pattern)
    for pattern in (
        # "on the left side of the picture", "that is at the top", "furthest to the right"
        r"(?:\b(?:that|which|who) (?:is|are) )?(?:\b(?:furthest|farthest|closest) )?"
        rf"\b(?P<words>(?:on|in|at|to|off to)(?: the)? {SIDE_PLACE}|(?:on|at)(?: the)? {LEVEL_PLACE}){PLACE_ENDS}",
        # "chair far right", "cushions, bottom right of the picture", "the girl who is leftmost"
        rf"\b(?P<words>(?:{DEGREE}|{LEVEL})[ -]+{SIDE_PLACE}|{SIDE}[ -]*most){PLACE_ENDS}",
        # "red bus right side"
        rf"\b(?P<words>{SIDE}(?: side)?)$",
        # "the bigger of the two elephants", "the left one of the two"
        rf"^(?:the )?(?P<words>(?:{SIZE}(?: one)? of|{SIDE}(?:[ -]*most)?(?: one)? of(?= (?:the |these )?t(?:wo|hree)))"
        r" (?:(?:the|these|all|two|three|four) )*)(?=\w)",
        # "the far left zebra", "top right slice of pizza", "the left corner slice", "3 smallest pieces"; not "the top
        # of", "the left half", "smaller than", nor "bottom" alone of "the bottom left half"
        r"^(?:(?:the|a|an|this|that|one|two|three|\d+) )*"
        rf"(?P<words>(?:(?:{DEGREE}[ -]+)?(?:(?:{LEVEL}[ -]+)?{SIDE}|{LEVEL}(?![ -]+{SIDE}\b)|{SIZE}|highest|lowest)"
        r"(?:[ -]*most)?(?: (?:side|corner))?[ -]+)+)"
        rf"(?=\w)(?!(?:{REGION}|{BODY_PART}|half|portion|section|of|than|to|in|on|at|by|and|with|next|behind|beside)\b)",
        # "the vase that is taller"
        rf"\b(?:that|which|who) (?:is|are) (?:the )?(?P<words>{SIZE}){PLACE_ENDS}",
    )
)
# An anchor like these is of the head's own kind: "the cup to the left of the others".
OTHERS = re.compile(
    r"(?:(?:all|any|of|the|some|two|three) )*(?:another|others?|rest|two|three|four)(?: (?:one|ones|two|three))?"
)


@dataclass(frozen=True)
class SpatialPhrase:
    """A phrase taken apart; places and sizes are "left", "right", "above", "below", "bigger" and "smaller"."""

    head: str  # the noun phrase that CLIP scores, "the red star"; never empty
    superlatives: tuple[str, ...] = ()  # how the object stands to others that fit `head`; "bottom right" gives two
    relations: tuple[tuple[str, SpatialPhrase], ...] = ()  # ("left", anchor): the object is left of the anchor


def parse_spatial_phrase(phrase: str) -> SpatialPhrase:
    """The meaning of a phrase, in English and not empty.

    Where no rule is found, the head is the phrase itself, unchanged.
    """
    text = " ".join(phrase.split())
    pieces, connectors = _split(text)
    nouns = [_noun_phrase(piece) for piece in pieces]
    if not connectors and not nouns[0].superlatives:
        return SpatialPhrase(phrase)
    # From the last anchor to the first: an anchor takes the relation that follows it, or leaves it to the head.
    of_head: list[tuple[str, SpatialPhrase]] = []
    of_anchor: list[tuple[str, SpatialPhrase]] = []
    for index in range(len(connectors), 0, -1):
        belongs_to_head = index == 1 or re.search(r"(?:\band|,)$", pieces[index - 1].rstrip()) is not None
        anchor = replace(nouns[index], relations=tuple(of_anchor))
        if OTHERS.fullmatch(anchor.head):
            anchor = replace(anchor, head=nouns[0 if belongs_to_head else index - 1].head)
        relations = [(direction, anchor) for direction in _directions(connectors[index - 1])]
        of_anchor = [] if belongs_to_head else relations
        of_head = relations + of_head if belongs_to_head else of_head
    return replace(nouns[0], relations=tuple(of_head))


def noun_phrases(phrase: SpatialPhrase) -> tuple[str, ...]:
    """The heads of the phrase and of all anchors, each once, in the order of the tree."""
    heads = [phrase.head]
    for _, anchor in phrase.relations:
        heads += noun_phrases(anchor)
    return tuple(dict.fromkeys(heads))


def _split(text: str) -> tuple[list[str], list[str]]:
    """The pieces between connectors, and the connectors, one fewer."""
    pieces: list[str] = []
    connectors: list[str] = []
    start = 0
    for match in RELATION.finditer(_without_no_rules(text)):
        piece = text[start : match.start()]
        if len(connectors) < MAX_RELATIONS and _names_something(piece):
            pieces.append(piece)
            connectors.append(match["words"])
            start = match.end()
    return [*pieces, text[start:]], connectors


def _noun_phrase(piece: str) -> SpatialPhrase:
    """A piece without connectors: its superlatives, and what is left of it."""
    head, superlatives = piece, []
    for pattern in SUPERLATIVES:
        while match := pattern.search(_without_no_rules(head)):
            superlatives += _directions(match["words"])
            start = match.start("words") if match.start() == 0 else match.start()
            head = f"{head[:start].rstrip()} {head[match.end() :].lstrip()}".strip()
    words = head.split()
    while words and DANGLING.fullmatch(words[-1].strip(PUNCTUATION)):
        words.pop()
    head = " ".join(words)
    return SpatialPhrase(head if _names_something(head) else piece.strip(), tuple(dict.fromkeys(superlatives)))


def _without_no_rules(text: str) -> str:
    """The text in lower case with `NO_RULE` blotted out, every other character in its place."""
    lowered = "".join(character.lower() if character.isascii() else character for character in text)
    return NO_RULE.sub(lambda match: "_" * len(match.group()), lowered)


def _names_something(text: str) -> bool:
    return not all(NAMES_NOTHING.fullmatch(word.strip(PUNCTUATION)) for word in text.split())


def _directions(words: str) -> list[str]:
    found = (DIRECTION_OF_WORD.get(re.sub("(?:most|hand)$", "", word)) for word in re.findall("[a-z]+", words))
    return [direction for direction in dict.fromkeys(found) if direction]
