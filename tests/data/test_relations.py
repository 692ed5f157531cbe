"""Composed phrases are true of one object only."""

from __future__ import annotations

from pathlib import Path

import pytest

from grounding.data.batches import TrainingItems
from grounding.data.refcocog import RefCOCOg
from grounding.data.relations import CONNECTORS, composed_expressions, stands
from grounding.types import Expression, Region
from tests.toy_data import write_toy_data

WORDING = {wording: relation for relation, wordings in CONNECTORS.items() for wording in wordings}


def expression(ann_id: int, phrase: str, box: tuple[float, ...], category: str) -> Expression:
    return Expression(phrase, box, 1, ann_id, ann_id, ann_id, Path("a.jpg"), category)  # type: ignore[arg-type]


DOG, CAT, OTHER_CAT = (10.0, 40.0, 30.0, 60.0), (50.0, 40.0, 70.0, 60.0), (100.0, 42.0, 120.0, 62.0)
REGIONS = [Region(1, 1, DOG, "dog"), Region(2, 1, CAT, "cat"), Region(3, 1, OTHER_CAT, "cat")]


def composed(phrase: str, box: tuple[float, ...], category: str, *more: Region) -> set[tuple[str, str]]:
    """What is said by a phrase of another object: the category of each, and how it stands."""
    asked = expression(1 if category == "dog" else 2, phrase, box, category)
    found = composed_expressions([asked], {1: [*REGIONS, *more]}, per_image=100, seed=0)
    said = [each.phrase.removesuffix(f" the {phrase}").split(" ", 2) for each in found]
    return {(category, WORDING[wording]) for _, category, wording in said}


def test_only_what_fits_one_object_is_said() -> None:
    # Both cats are right of the dog, so neither is "the cat right of the brown dog".
    assert composed("the brown dog", DOG, "dog") == set()
    assert composed("white cat", CAT, "cat") == {("dog", "left"), ("cat", "right")}


def test_what_might_be_said_of_another_is_said_of_none() -> None:
    """The second dog lies above the cat, and a little to its left: only what is above it is beyond doubt."""
    found = composed("white cat", CAT, "cat", Region(4, 1, (48.0, 0.0, 68.0, 20.0), "dog"))
    assert [relation for category, relation in found if category == "dog"] == ["above"]


def test_a_phrase_with_a_relation_is_no_anchor() -> None:
    for phrase in ("the cat next to the dog", "the cat to the left of the other", "cat beside a dog"):
        assert composed(phrase, CAT, "cat") == set()


def test_they_point_at_the_object_that_is_placed() -> None:
    [first, *_] = composed_expressions([expression(2, "a cat", CAT, "cat")], {1: REGIONS}, per_image=1, seed=0)
    target = next(region for region in REGIONS if region.ann_id == first.ann_id)
    assert first.box_xyxy == target.box_xyxy and first.category == target.category and first.tags == ("composed",)
    assert first.sent_id < 0


def test_they_are_drawn_beside_the_annotators_phrases(tmp_path: Path) -> None:
    dataset = RefCOCOg(write_toy_data(tmp_path / "toy"), "train", group_by="image")
    items = TrainingItems(dataset, model_size=64, stride=4, phrases_per_image=2, composed_per_image=1, seed=0)
    assert max(len(items[index].phrases) for index in range(len(items))) == 2 + 1
    assert items.composed and all(each.sent_id < 0 for each in items.composed)
    plain = TrainingItems(dataset, model_size=64, stride=4, phrases_per_image=2, seed=0)
    assert plain.composed == [] and plain.phrases == {each.phrase for each in dataset.expressions}


@pytest.mark.parametrize(
    ("relation", "box", "strictly", "loosely"),
    [
        ("left", (0, 0, 10, 10), True, True),
        ("right", (0, 0, 10, 10), False, False),
        ("left", (26, 0, 36, 10), False, True),  # less than half a side apart
        ("above", (20, -30, 30, -20), True, True),
        ("above", (0, -10, 10, 0), False, True),  # as far to the left as above
        ("below", (31, 40, 41, 50), True, True),
        ("near", (42, 0, 52, 10), True, True),
        ("near", (46, 0, 56, 10), False, True),
        ("near", (60, 0, 70, 10), False, False),
    ],
)
def test_how_boxes_stand(relation, box, strictly, loosely) -> None:
    anchor = (30, 0, 40, 10)
    assert stands(relation, box, anchor, strictly=True) is strictly
    assert stands(relation, box, anchor, strictly=False) is loosely
