"""Which images' boxes are used, and that of the others none can be seen."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from grounding.data.refcocog import RefCOCOg
from grounding.data.supervision import images_with_boxes, without_boxes
from grounding.types import Example, Expression, Region
from tests.toy_data import write_toy_data

IMAGES = 10


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> RefCOCOg:
    root = write_toy_data(tmp_path_factory.mktemp("toy") / "data", {"train": IMAGES})
    return RefCOCOg(root, "train", group_by="image")


@pytest.mark.parametrize(
    ("fraction", "count"), [(0.0, 0), (0.001, 1), (0.1, 1), (0.24, 2), (0.26, 3), (0.5, 5), (0.99, 10), (1.0, 10)]
)
def test_a_fraction_is_a_share_of_the_images(toy, fraction, count):
    assert len(images_with_boxes(toy, fraction, seed=0)) == count


def test_a_larger_fraction_contains_every_smaller_one(toy):
    for seed in range(5):
        chosen = [images_with_boxes(toy, step / IMAGES, seed=seed) for step in range(IMAGES + 1)]
        assert all(smaller < larger for smaller, larger in itertools.pairwise(chosen))
        assert chosen[-1] == {expression.image_id for expression in toy.expressions}


def test_the_seed_alone_decides(toy):
    chosen = [images_with_boxes(toy, 0.5, seed=seed) for seed in range(5)]
    assert chosen == [images_with_boxes(toy, 0.5, seed=seed) for seed in range(5)]
    assert len(set(map(frozenset, chosen))) > 1


def example(*boxes: tuple[float, float, float, float]) -> Example:
    """40 x 30 pixels, each of the boxes with a phrase and as a region."""
    expressions = tuple(
        Expression(f"the {i}", box, 5, 10 + i, 20 + i, 30 + i, Path("a.jpg"), "cup", ("novel",))
        for i, box in enumerate(boxes)
    )
    regions = tuple(Region(20 + i, 5, box, "cup") for i, box in enumerate(boxes))
    return Example(np.zeros((30, 40, 3), np.uint8), expressions, regions)


def test_without_boxes_nothing_is_left_of_them():
    boxes, others = ((1.0, 2.0, 3.0, 4.0), (5.0, 6.0, 40.0, 30.0)), ((7.0, 1.0, 9.0, 20.0),) * 2
    hidden, same = without_boxes(example(*boxes)), without_boxes(example(*others))
    assert hidden.expressions == same.expressions and hidden.regions == same.regions == ()
    assert hidden.boxes_xyxy.tolist() == [[0, 0, 40, 30]] * 2


def test_without_boxes_all_else_stays():
    before = example((1.0, 2.0, 3.0, 4.0))
    hidden = without_boxes(before)
    assert hidden.image is before.image
    box = before.expressions[0].box_xyxy
    assert tuple(replace(each, box_xyxy=box) for each in hidden.expressions) == before.expressions


def test_boxes_that_are_nowhere_become_the_image():
    assert without_boxes(example((float("nan"),) * 4)).boxes_xyxy.tolist() == [[0, 0, 40, 30]]
