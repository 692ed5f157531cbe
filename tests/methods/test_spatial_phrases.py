"""Phrases taken apart: against parses written by hand, and against the generator that knows what it means."""

from __future__ import annotations

import re

import numpy as np
import pytest

from grounding.data.refshapes.phrases import describe, say
from grounding.data.refshapes.scenes import make_scene
from grounding.data.refshapes.vocabulary import RELATIONS
from grounding.methods.spatial_phrases import MAX_RELATIONS, SpatialPhrase, noun_phrases, parse_spatial_phrase
from tests.data.refshapes.phrase_reader import read_phrase


def superlative(head: str, *names: str) -> SpatialPhrase:
    return SpatialPhrase(head, names)


def related(head: str, *relations: tuple[str, str | SpatialPhrase]) -> SpatialPhrase:
    anchors = [(name, SpatialPhrase(anchor) if isinstance(anchor, str) else anchor) for name, anchor in relations]
    return SpatialPhrase(head, relations=tuple(anchors))


@pytest.mark.parametrize(
    ("phrase", "expected"),
    [
        ("left most giraffe", superlative("giraffe", "left")),
        ("the left - most hot dog", superlative("the hot dog", "left")),
        ("the brown suitcase in the right hand picture", superlative("the brown suitcase", "right")),
        ("the green bus furthest to the right", superlative("the green bus", "right")),
        ("the bottom left corner slice", superlative("the slice", "below", "left")),
        ("the leftmost of the three cats", superlative("the cats", "left")),
        ("the man on the left of the picture", superlative("the man", "left")),
        ("Woman on the Left.", superlative("Woman", "left")),
        ("the man on the far right wearing a black top", superlative("the man wearing a black top", "right")),
        ("red bus right side", superlative("red bus", "right")),
        ("bottom right slice of pizza", superlative("slice of pizza", "below", "right")),
        ("top plate holding sandwiches", superlative("plate holding sandwiches", "above")),
        ("the larger left half of a pie", superlative("the left half of a pie", "bigger")),
        ("the bigger of the two elephants", superlative("the elephants", "bigger")),
        ("the vase that is taller", superlative("the vase", "bigger")),
        ("the bigger dog next to the man", superlative("the dog next to the man", "bigger")),
        ("left", superlative("left", "left")),
    ],
)
def test_superlatives(phrase, expected):
    assert parse_spatial_phrase(phrase) == expected


@pytest.mark.parametrize(
    ("phrase", "expected"),
    [
        ("the cup on top of the table", related("the cup", ("above", "the table"))),
        ("toothbrush located left of three brushes", related("toothbrush", ("left", "three brushes"))),
        ("the bed that is on the left side of the room", related("the bed", ("left", "the room"))),
        ("the dog bigger than the cat", related("the dog", ("bigger", "the cat"))),
        # one anchor in two directions
        ("an egg below and to the right of the pan", related("an egg", ("below", "the pan"), ("right", "the pan"))),
        # "and" goes back to the head, mere order does not
        ("an ox right of a hut and left of a mill", related("an ox", ("right", "a hut"), ("left", "a mill"))),
        ("an ox right of a hut left of a mill", related("an ox", ("right", related("a hut", ("left", "a mill"))))),
        # anchors of the head's own kind
        ("an elephant to the right of all others", related("an elephant", ("right", "an elephant"))),
        ("a cup left of a jar above another one", related("a cup", ("left", related("a jar", ("above", "a jar"))))),
        # superlatives on either side
        (
            "smaller giraffe on right of larger giraffe",
            SpatialPhrase("giraffe", ("smaller",), (("right", superlative("giraffe", "bigger")),)),
        ),
    ],
)
def test_relations(phrase, expected):
    assert parse_spatial_phrase(phrase) == expected


@pytest.mark.parametrize(
    "phrase",
    [
        "the right hand of the boy",
        "person holding a cup in his left hand",
        "the left side of the pizza",
        "smaller than the dog",
        "cake with candles on top",
        "the man who left the room",
        "a portion of cake left on a plate",
        "a man looking to the left",
        "second zebra from the left",
        "the boy with a dog under him",
        "a giraffe leaning over the fence",
        "a pink chair right behind the toilet",
        "right of the ring",
        "  two\tspaces ",
    ],
)
def test_no_rule_leaves_the_phrase_as_it_is(phrase):
    assert parse_spatial_phrase(phrase) == SpatialPhrase(phrase)


WITHOUT_RULE = ("near", "front", "behind")


def test_refshapes_relations_are_what_the_generator_meant():
    rng, said, seen = np.random.default_rng(3), set(), 0
    while seen < 800:
        scene = make_scene(rng, allow_novel=True)  # which takes far longer than to speak of it
        for target in range(len(scene.objects)):
            description = describe(scene, target, rng)
            if description is None or description.clue not in ("", "relation"):
                continue
            phrase, seen = say(description, scene, rng), seen + 1
            parsed = parse_spatial_phrase(phrase)
            if description.word in ("", *WITHOUT_RULE):
                assert parsed == SpatialPhrase(phrase)
                continue
            ((relation, anchor),) = parsed.relations
            assert relation == description.word, phrase
            assert parsed.superlatives == anchor.superlatives == anchor.relations == (), phrase
            # Read again by a reader who knows nothing of this grammar.
            head = re.sub("(?: that is| and is)?(?: lying| sitting)?$", "", parsed.head)  # a verb stays: it is seen
            assert read_phrase(head).attributes == dict(description.attributes), phrase
            assert read_phrase(anchor.head).attributes == dict(description.anchor), phrase
            said |= {words for words in RELATIONS[relation] if f" {words} " in phrase}
    assert said == {words for name, all_words in RELATIONS.items() if name not in WITHOUT_RULE for words in all_words}


def test_any_text_is_parsed_and_no_noun_phrase_is_empty():
    rng = np.random.default_rng(0)
    words = "the a left right of to on in top most hand and , . over under bigger than that is İ \u017fmaller 漢 \u2003"
    for _ in range(3000):
        codes = rng.integers(1, [128, 0xD800, 0x110000][rng.integers(3)], rng.integers(1, 20))
        characters = "".join(map(chr, codes))
        for text in (characters, " ".join(rng.choice(words.split(" "), rng.integers(1, 20)))):
            parsed = parse_spatial_phrase(text)
            assert all(noun_phrases(parsed))
            assert parsed.superlatives or parsed.relations or parsed == SpatialPhrase(text)


def test_a_phrase_without_end_stays_a_shallow_tree():
    parsed, depth = parse_spatial_phrase("a cat left of " * 2000 + "a dog"), 0
    while parsed.relations:
        ((_, parsed),) = parsed.relations
        depth += 1
    assert depth == MAX_RELATIONS
