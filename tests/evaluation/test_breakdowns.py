from pathlib import Path

import pytest

from grounding.evaluation.breakdowns import kinds_of
from grounding.types import Expression, Region

AREA = 640 * 480


def expression(phrase: str = "the dog", box: tuple[float, ...] = (0, 0, 100, 100), category: str = "dog") -> Expression:
    return Expression(phrase, box, 1, 1, 7, 1, Path("a.jpg"), category)  # type: ignore[arg-type]


def regions(*categories: str) -> list[Region]:
    """The expression's own object, annotation 7, and others."""
    return [Region(7, 1, (0, 0, 1, 1), "dog")] + [
        Region(10 + i, 1, (0, 0, 1, 1), name) for i, name in enumerate(categories)
    ]


@pytest.mark.parametrize(
    ("phrase", "length", "location", "relation"),
    [
        ("the dog", "1-3 words", "no", "no"),
        ("a dog, black", "1-3 words", "no", "no"),
        ("the man on the left", "4-6 words", "yes", "no"),
        ("the man left of the tree", "4-6 words", "yes", "yes"),
        ("a woman's dog that is next to the red car", "7-10 words", "no", "yes"),
        ("Cup IN FRONT OF the plate", "4-6 words", "yes", "yes"),
        ("a lefthanded man in the bright overcoat", "7-10 words", "no", "no"),
        ("a b c d e f g h i j k", "11 words or more", "no", "no"),
    ],
)
def test_kinds_of_phrases(phrase, length, location, relation) -> None:
    kinds = kinds_of(expression(phrase), regions(), AREA)
    assert (kinds["phrase length"], kinds["location words"], kinds["relation words"]) == (length, location, relation)


@pytest.mark.parametrize(
    ("side", "kind"), [(31, "small"), (33, "medium"), (95, "medium"), (97, "large"), (480, "large")]
)
def test_sizes_are_cocos_on_a_picture_of_cocos_size(side, kind) -> None:
    assert kinds_of(expression(box=(10, 0, 10 + side, side)), regions(), AREA)["box area"] == kind
    half = (5, 0, 5 + side / 2, side / 2)
    assert kinds_of(expression(box=half), regions(), AREA / 4)["box area"] == kind


@pytest.mark.parametrize(
    ("others", "kind"),
    [((), "0"), (("cat",), "0"), (("dog",), "1"), (("dog", "cat", "dog"), "2"), (("dog",) * 5, "3 or more")],
)
def test_distractors_are_others_of_the_same_category(others, kind) -> None:
    assert kinds_of(expression(), regions(*others), AREA)["same-category distractors"] == kind


def test_category() -> None:
    assert kinds_of(expression(category="zebra"), [], AREA)["category"] == "zebra"
    assert kinds_of(expression(category=""), [], AREA)["category"] == "unknown"
