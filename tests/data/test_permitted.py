"""What phrases say of colour, of sharpness and of places in the picture."""

from __future__ import annotations

import pytest

from grounding.data.permitted import names_colour, names_place, names_sharpness
from grounding.data.refshapes.vocabulary import ADJECTIVES, COLOURS


def is_colour(word: str) -> bool:
    return any(word in ADJECTIVES[colour] for colour in COLOURS)


@pytest.mark.parametrize("word", [word for words in ADJECTIVES.values() for word in words])
def test_colours_are_told_from_other_adjectives(word: str) -> None:
    assert names_colour(f"the {word} star") == is_colour(word)


@pytest.mark.parametrize(
    "phrase",
    ["the Grey cat", "gray - haired man", "a blonde", "blondish man", "brunette woman", "redish colored horse",
     "a redhead", "dark haired woman", "the lighter laptop", "woman in a multi - coloured skirt", "golden dog",
     "the person standing in the shadows", "the brightest lamp", "car under a street light", "teal wheels",
     "maroon scooter", "the silver car", "a tan sweater", "unripe bananas"],
)  # fmt: skip
def test_a_colour_or_a_brightness_is_found(phrase: str) -> None:
    assert names_colour(phrase)


@pytest.mark.parametrize(
    "phrase",
    ["the hired man", "greenery beside a lake", "a tank", "the standing man", "blackboard", "a delightful cake",
     "man with a racket", "the rosemary", "bluebird"],
)  # fmt: skip
def test_a_colour_inside_a_word_is_none(phrase: str) -> None:
    assert not names_colour(phrase)


def test_sharpness() -> None:
    for phrase in ("a blurry man", "bird that is out of focus", "the blurred car", "the sharper one", "unfocused cup"):
        assert names_sharpness(phrase)
    assert not names_sharpness("a man with a knife")


@pytest.mark.parametrize(
    "phrase",
    ["the cup on the left", "the left cup", "on the left side", "monitor in the left side of the image",
     "the laptop in the right hand picture", "second from left", "the second zebra from the left", "third cow",
     "the middle of three trains", "kid in middle", "the one in the center", "the chair at the top",
     "the chair cut off in the top of the photo", "top left pizza", "bowl in top left corner", "a horse in the corner",
     "head of someone on the edge of the frame", "the giraffe in the background", "cow in the foreground",
     "the man in the distance", "the drink in the back", "the zebra in front", "nose in the front of the photo",
     "girl on right in blue", "the man on the left looking right", "the one of the three"],
)  # fmt: skip
def test_places_in_the_picture_forbid_a_crop(phrase: str) -> None:
    assert names_place(phrase)


@pytest.mark.parametrize(
    "phrase",
    ["leftmost sheep", "the left most glass", "the rightmost bench", "the elephant closest to the camera",
     "the smallest elephant", "the dog left of the ring", "the car to the right of the red car",
     "the ring on the left side of the small star", "pizza at the top of the plate", "the man in front of the bus",
     "a bag on top of the suitcase", "pen in her left hand", "dog on woman ' s right", "the left arm of the man",
     "a zebra facing left", "man looking to the right", "man standing right next to a sign", "a middle aged man",
     "leftover pizza", "woman in a tank top", "the circle above the star", "zebra between the others"],
)  # fmt: skip
def test_what_stays_true_among_fewer_objects_permits_it(phrase: str) -> None:
    assert not names_place(phrase)
