from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grounding.data.mirrored import mirrored_phrase

WORDS = [
    "left",
    "Right",
    "LEFT",
    "leftmost",
    "right-hand",
    "on",
    "the",
    "next",
    "to",
    "in front",
    "behind",
    "of",
    "cat",
]


@pytest.mark.parametrize(
    ("phrase", "expected"),
    [
        ("the star left of the ring", "the star right of the ring"),
        ("right of the left one", "left of the right one"),
        ("the LEFT cup, Right side", "the RIGHT cup, Left side"),
        ("leftmost girl", "rightmost girl"),
        ("on the left-hand side", "on the right-hand side"),
        ("the righthand glove", "the lefthand glove"),
        ("facing leftward", "facing rightward"),
        ("the man's left's", "the man's right's"),
        ("to the right, next to the dog", "to the left, next to the dog"),
        ("on the right behind the car", "on the left behind the car"),
        ("a cat on right in front", "a cat on left in front"),
        ("left", "right"),
        ("", ""),
    ],
)
def test_left_and_right_change_places(phrase: str, expected: str) -> None:
    assert mirrored_phrase(phrase) == expected
    assert mirrored_phrase(expected) == phrase


@pytest.mark.parametrize(
    "phrase",
    [
        "leftover pizza in bright light",
        "an upright bottle, copyright",
        "the dog right next to the man",
        "sitting right in front of her",
        "Right behind the goal",
        "the bag left behind",
        "a red car",
    ],
)
def test_what_names_no_side_stays(phrase: str) -> None:
    assert mirrored_phrase(phrase) == phrase


@given(st.lists(st.sampled_from(WORDS), max_size=8), st.sampled_from([" ", ", ", "  "]))
def test_mirroring_twice_gives_the_phrase_back(words: list[str], between: str) -> None:
    phrase = between.join(words)
    assert mirrored_phrase(mirrored_phrase(phrase)) == phrase
