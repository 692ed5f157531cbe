"""Expressions for any number of objects: made of those for one, and drawn from other images where they fit nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from grounding.data.batches import TrainingItems, collate
from grounding.data.refcocog import RefCOCOg
from grounding.data.sets import WithAbsent, absent_expressions, as_set
from grounding.data.supervision import box_masks, phrase_masks
from grounding.types import Expression, Region, SetExpression
from tests.data.batches.drawing import ALL, Scene

BOX = (1.0, 2.0, 3.0, 4.0)


def expression(image_id: int, phrase: str, category: str) -> Expression:
    return Expression(phrase, BOX, image_id, 10 * image_id, image_id, image_id, Path(f"{image_id}.png"), category)


def regions_of(expressions: list[Expression]) -> dict[int, tuple[Region, ...]]:
    return {each.image_id: (Region(each.image_id, each.image_id, BOX, each.category),) for each in expressions}


def test_an_absent_phrase_is_of_a_category_that_is_not_there() -> None:
    expressions = [expression(1, "a cat", "cat"), expression(2, "a dog", "dog"), expression(3, "a cup", "cup")]
    regions = regions_of(expressions)
    regions[1] += (Region(9, 1, BOX, "cup"),)  # which no phrase of the image names
    regions[3] += (Region(7, 3, BOX, "cat"), Region(8, 3, BOX, "dog"))  # nothing is missing here
    drawn = [absent_expressions(expressions, regions, seed=seed) for seed in range(20)]
    assert {each.phrase for found in drawn for each in found[1]} == {"a dog"}
    assert {each.phrase for found in drawn for each in found[2]} == {"a cat", "a cup"}
    assert all(set(found) == {1, 2} for found in drawn)
    assert not drawn[0][1][0].boxes_xyxy and not drawn[0][1][0].ann_ids and drawn[0][1][0].image_id == 1
    assert drawn[3] == absent_expressions(expressions, regions, seed=3)
    several = absent_expressions(expressions, regions, seed=0, per_image=3)
    assert {image_id: len(found) for image_id, found in several.items()} == {1: 3, 2: 3}


@pytest.mark.parametrize("phrase", ["the leftmost one", "the dogged striped object", "the blue thing"])
def test_what_does_not_name_its_category_may_fit_anywhere(phrase: str) -> None:
    expressions = [expression(1, "a cat", "cat"), expression(2, phrase, "dog")]
    assert set(absent_expressions(expressions, regions_of(expressions), seed=0)) == {2}
    named = [expressions[0], expression(2, "the leftmost Dog", "dog")]
    assert set(absent_expressions(named, regions_of(named), seed=0)) == {1, 2}


def test_without_categories_nobody_knows_what_is_absent() -> None:
    expressions = [expression(1, "a cat", ""), expression(2, "a dog", "")]
    assert absent_expressions(expressions, {1: (), 2: ()}, seed=0) == {}


def test_a_data_set_with_absent_phrases_has_its_own_too(refshapes: RefCOCOg) -> None:
    both = WithAbsent(refshapes, seed=0)
    assert len(both) == len(refshapes)
    found = 0
    for index in range(len(both)):
        example, own = both[index], refshapes[index]
        assert example.expressions[: len(own.expressions)] == tuple(map(as_set, own.expressions))
        more = example.expressions[len(own.expressions) :]
        assert len(more) <= 1 and all(not each.boxes_xyxy for each in more)
        found += len(more)
    assert found > len(both) / 2


def test_drawn_phrases_keep_their_boxes_whatever_is_done_to_the_picture() -> None:
    """Two boxes, none, and one; mirrored and moved as the picture is."""
    scene = Scene([(1, "the thing")], elsewhere=["another"])
    boxes = ((4.0, 4.0, 20.0, 20.0), (30.0, 6.0, 36.0, 18.0))
    sets = {1: [SetExpression("both things", boxes, (1, 2), 1, 5, 50, Path("none.png")),
                SetExpression("a dog", (), (), 1, 6, 60, Path("none.png"))], 77: []}  # fmt: skip
    items = TrainingItems(scene, model_size=40, stride=4, phrases_per_image=3, sets=sets, sets_per_image=2,
                          augmentation=ALL, seed=0)  # fmt: skip
    assert {"both things", "a dog"} <= items.phrases
    moved = 0
    for items.epoch in range(20):
        item = items[0]
        counts = dict(zip(item.phrases, item.box_counts, strict=True))
        assert counts == {"the thing": 1, "both things": 2, "a dog": 0} and len(item.boxes_xyxy) == 3
        own, first, second = item.boxes_xyxy
        np.testing.assert_allclose(own, first)  # the same object
        # The second box lies 10 pixels beside the first, on one side or, mirrored, on the other.
        scale = (first[2] - first[0]) / 16
        gap = second[0] - first[2] if second[0] > first[0] else first[0] - second[2]
        np.testing.assert_allclose(gap, 10 * scale, atol=1e-3)
        moved += second[0] < first[0]
        batch = collate([item, items[1]])
        assert batch.box_counts.tolist() == [*item.box_counts, 1] and len(batch.boxes_xyxy) == 4
        assert len(set(batch.region_ids.tolist())) == 4
    assert 0 < moved < 20


def test_a_phrase_has_the_masks_of_all_its_boxes() -> None:
    boxes = torch.tensor([[0.0, 0, 6, 6], [4, 4, 12, 12], [9, 1, 11, 3]])
    counts = torch.tensor([2, 0, 1])
    masks = box_masks(boxes, 4, 4)
    merged = phrase_masks(masks, counts)
    torch.testing.assert_close(merged[0], torch.maximum(masks[0], masks[1]))
    assert (merged[1] == 0).all()
    torch.testing.assert_close(merged[2], masks[2])
