"""Which images' boxes are used, and that of the others none can be seen."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from grounding.data.supervision import without_boxes
from grounding.types import Example, Expression, Region


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
