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


def test_a_fraction_is_a_share_of_the_images_and_larger_ones_contain_it(toy):
    counts = {0.0: 0, 0.001: 1, 0.1: 1, 0.24: 2, 0.26: 3, 0.5: 5, 0.99: 10, 1.0: 10}
    for seed in range(5):
        chosen = [images_with_boxes(toy, fraction, seed=seed) for fraction in counts]
        assert [len(each) for each in chosen] == list(counts.values())
        assert all(smaller <= larger for smaller, larger in itertools.pairwise(chosen))
        assert chosen[-1] == {expression.image_id for expression in toy.expressions}
    by_seed = [images_with_boxes(toy, 0.5, seed=seed) for seed in (0, 1, 2, 3, 4, 4)]
    assert len(set(map(frozenset, by_seed))) > 1 and by_seed[-1] == by_seed[-2]


def example(*boxes: tuple[float, float, float, float]) -> Example:
    """40 x 30 pixels, each of the boxes with a phrase and as a region."""
    expressions = tuple(
        Expression(f"the {i}", box, 5, 10 + i, 20 + i, 30 + i, Path("a.jpg"), "cup", ("novel",), (box, box))
        for i, box in enumerate(boxes)
    )
    regions = tuple(Region(20 + i, 5, box, "cup") for i, box in enumerate(boxes))
    return Example(np.zeros((30, 40, 3), np.uint8), expressions, regions)


@pytest.mark.parametrize("box", [(1.0, 2.0, 3.0, 4.0), (float("nan"),) * 4])
def test_without_boxes_nothing_is_left_of_them_and_all_else_stays(box):
    before = example(box, (5.0, 6.0, 40.0, 30.0))
    hidden = without_boxes(before)
    assert hidden.regions == () and hidden.image is before.image
    assert hidden.boxes_xyxy.tolist() == [[0, 0, 40, 30]] * 2
    assert hidden.expressions == tuple(
        replace(each, box_xyxy=(0.0, 0.0, 40.0, 30.0), parts_xyxy=()) for each in before.expressions
    )
