"""Composed phrases are true of one object only, by the generator's own meaning of words."""

from __future__ import annotations

from pathlib import Path

import pytest

from grounding.data.batches import TrainingItems
from grounding.data.refcocog import RefCOCOg
from grounding.data.refshapes.meaning import Description, the_only
from grounding.data.refshapes.scenes import Scene
from grounding.data.refshapes.writer import SPLITS, make_split_scene, write_refshapes
from grounding.data.relations import CONNECTORS, composed_expressions, stands
from grounding.types import Expression, Region

WORDING = {wording: relation for relation, wordings in CONNECTORS.items() for wording in wordings}


def expression(ann_id: int, phrase: str, box: tuple[float, ...], category: str) -> Expression:
    return Expression(phrase, box, 1, ann_id, ann_id, ann_id, Path("a.jpg"), category)  # type: ignore[arg-type]


DOG, CAT, OTHER_CAT = (10.0, 40.0, 30.0, 60.0), (50.0, 40.0, 70.0, 60.0), (100.0, 42.0, 120.0, 62.0)
REGIONS = {1: [Region(1, 1, DOG, "dog"), Region(2, 1, CAT, "cat"), Region(3, 1, OTHER_CAT, "cat")]}


def composed(*asked: Expression, per_image: int = 100) -> set[str]:
    return {each.phrase for each in composed_expressions(asked, REGIONS, per_image=per_image, seed=0)}


def test_only_what_fits_one_object_is_said() -> None:
    # Both cats are right of the dog, so neither is "the cat right of the brown dog".
    assert composed(expression(1, "the brown dog", DOG, "dog")) == set()
    found = composed(expression(2, "white cat", CAT, "cat"))
    assert len(found) == 2
    assert all(each.endswith("the white cat") for each in found)
    [dog] = [each for each in found if each.startswith("the dog")]
    [cat] = [each for each in found if each.startswith("the cat")]
    assert WORDING[dog.removeprefix("the dog ").removesuffix(" the white cat")] == "left"
    assert WORDING[cat.removeprefix("the cat ").removesuffix(" the white cat")] == "right"


def test_a_phrase_with_a_relation_is_no_anchor() -> None:
    for phrase in ("the cat next to the dog", "the cat to the left of the other", "cat beside a dog"):
        assert composed(expression(2, phrase, CAT, "cat")) == set()
    assert composed(expression(2, "a cat", CAT, "cat"))


def test_they_point_at_the_object_that_is_placed() -> None:
    [first, *_] = composed_expressions([expression(2, "a cat", CAT, "cat")], REGIONS, per_image=1, seed=0)
    target = next(region for region in REGIONS[1] if region.ann_id == first.ann_id)
    assert first.box_xyxy == target.box_xyxy and first.category == target.category and first.tags == ("composed",)
    assert first.sent_id < 0


@pytest.fixture(scope="module")
def refshapes(tmp_path_factory: pytest.TempPathFactory) -> RefCOCOg:
    root = tmp_path_factory.mktemp("refshapes") / "data"
    write_refshapes(root, {"train": 60, "val": 1, "test": 1})
    return RefCOCOg(root, "train", group_by="image")


def test_the_generator_agrees(refshapes: RefCOCOg) -> None:
    """Each composed phrase, read as the generator means it, denotes its object and no other."""
    scenes: dict[str, Scene] = {
        f"refshapes_train_{index:06d}.jpg": make_split_scene(SPLITS[0], index, 0)[0] for index in range(60)
    }
    found = composed_expressions(refshapes.expressions, refshapes.regions, per_image=6, seed=0)
    assert len(found) > 100
    for each in found:
        scene = scenes[each.image_path.name]
        objects = scene.objects
        target = next(i for i, item in enumerate(objects) if tuple(map(float, item.box_xyxy)) == each.box_xyxy)
        _, head, rest = each.phrase.split(" ", 2)
        connector = max((wording for wording in WORDING if rest.startswith(wording + " ")), key=len)
        anchor_phrase = rest.removeprefix(connector + " ")
        anchors = [
            other
            for other in refshapes.expressions
            if other.image_id == each.image_id and anchor_phrase in (other.phrase, f"the {other.phrase}")
        ]
        assert head == objects[target].shape and anchors
        anchor = next(i for i, item in enumerate(objects) if tuple(map(float, item.box_xyxy)) == anchors[0].box_xyxy)
        everything = tuple(
            (name, getattr(objects[anchor], name)) for name in ("texture", "material", "colour", "shape")
        )
        meaning = Description((("shape", head),), "relation", WORDING[connector], everything)
        # Where the anchor's looks are not its own, or too small to see, its phrase says more than they do.
        if the_only(Description(everything), scene) is not None:
            assert the_only(meaning, scene) == target, each.phrase


def test_they_are_drawn_beside_the_annotators_phrases(refshapes: RefCOCOg) -> None:
    items = TrainingItems(refshapes, model_size=64, stride=4, phrases_per_image=2, composed_per_image=3, seed=0)
    counts = [len(items[index].phrases) for index in range(len(items))]
    assert max(counts) == 5 and all(not each.sent_id >= 0 for each in items.composed)
    plain = TrainingItems(refshapes, model_size=64, stride=4, phrases_per_image=2, seed=0)
    assert plain.composed == [] and plain.phrases == {each.phrase for each in refshapes.expressions}


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
