"""What phrases say of places in the picture and of other objects."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grounding.data.augmentation_rules import names_another, names_place
from grounding.data.relations import CONNECTORS


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


@pytest.mark.parametrize("connector", [each for wordings in CONNECTORS.values() for each in wordings])
def test_every_composed_phrase_names_another_object(connector: str) -> None:
    assert names_another(f"x {connector} y") and not names_place(f"x {connector} y")


@pytest.mark.parametrize(
    "phrase",
    ["the cup on the left side of the bench", "man on the right hand side of the bus", "the man to the side of a bench",
     "the dog in back of the car", "the cup at the end of the bench", "pizza at the top of the plate",
     "a bowl inside the box", "Cup AROUND the vase", "a dog touching the sofa", "chair by the window",
     "dog beside a cat"],
)  # fmt: skip
def test_what_ties_one_object_to_another_is_found(phrase: str) -> None:
    assert names_another(phrase)


@pytest.mark.parametrize(
    "phrase",
    ["a cup", "woman in a tank top", "leftmost sheep", "the cup on the left", "the left side of the picture",
     "bottle on the right", "pen in her left hand", "a baby", "the man with a racket"],
)  # fmt: skip
def test_what_needs_nothing_else_is_not(phrase: str) -> None:
    assert not names_another(phrase)


WORDS = "left right top corner edge upper in back front hand side - end most of the her 's looking on man big photo two"


@given(st.lists(st.sampled_from(WORDS.split()), min_size=2, max_size=9).map(" ".join))
def test_a_place_that_is_none_because_it_is_beside_a_thing_names_that(phrase: str) -> None:
    if not names_place(phrase) and names_place(phrase.replace(" of ", " at ")):
        assert names_another(phrase)
