"""What the image's centre and its middle reach on a small Flickr30k Entities, against numbers worked out by hand."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from grounding.data.flickr30k import Flickr30kEntities
from grounding.evaluation.evaluate import evaluate
from grounding.evaluation.predictions import Prediction
from grounding.evaluation.summary import measures_of
from grounding.methods.grounder import CentredBoxGrounder, WholeImageGrounder
from tests.data.flickr30k.files import write_flickr30k

MEASURES = ("acc@0.5", "acc@0.5_any", "pointing", "pointing_any")


@pytest.fixture
def dataset(tmp_path: Path) -> Flickr30kEntities:
    with pytest.warns(UserWarning, match="that are published"):
        return Flickr30kEntities(write_flickr30k(tmp_path / "flickr"), "test", group_by="image")


def test_centred_box(dataset: Flickr30kEntities) -> None:
    """Six phrases, each against the box around all boxes of its chain, and against each of these.

    STREET, 100x60: the box is [25, 15, 75, 45], of area 1500, the point (49.5, 29.5).

    - "Two men", "The men": around [10, 10, 80, 50], area 2800, holds the box: IoU 1500 / 2800 = 0.54, right, and the
      point. Any of [10, 10, 30, 50] and [60, 10, 80, 50]: 5 * 30 = 150 and 15 * 30 = 450 in common with area 800 each:
      IoU at most 450 / (1500 + 800 - 450) = 0.24, wrong; the point is in neither.
    - "a bench": [40, 20, 60, 40], area 400, lies in the box: IoU 400 / 1500 = 0.27, wrong; the point is inside.
    - "A man in a hat": [10, 10, 30, 50]: IoU 150 / 2150 = 0.07, wrong; the point is outside.

    FIELD, 80x80: the box is [20, 20, 60, 60], of area 1600, the point (39.5, 39.5).

    - "A dog": [0, 0, 70, 80], area 5600, holds the box: IoU 1600 / 5600 = 0.29, wrong; the point is inside.
    - "Cars": around [0, 20, 60, 80], area 3600, holds the box: IoU 1600 / 3600 = 0.44, wrong. Any of [20, 20, 60, 60]
      and [0, 70, 4, 80]: IoU 1 with the first, right. The point is inside either way.

    Right around: Two men, The men: 2 of 6. Right with any: Cars: 1 of 6. Pointing around: all but the hat: 5 of 6;
    any: bench, dog, Cars: 3 of 6.
    """
    found = evaluate(CentredBoxGrounder(), dataset)
    assert [found[name] for name in MEASURES] == pytest.approx([2 / 6, 1 / 6, 5 / 6, 3 / 6])


def test_whole_image(dataset: Flickr30kEntities) -> None:
    """The point is that of the centred box. Every box lies in the image, so that its IoU is its share of it.

    STREET, area 6000: around the men 2800 / 6000 = 0.47, every other box less: none right.
    FIELD, area 6400: the dog 5600 / 6400 = 0.88, right either way; around the cars 3600 / 6400 = 0.56, right; the
    larger car alone 1600 / 6400 = 0.25, wrong. Around: 2 of 6; any: 1 of 6.
    """
    found = evaluate(WholeImageGrounder(), dataset)
    assert [found[name] for name in MEASURES] == pytest.approx([2 / 6, 1 / 6, 5 / 6, 3 / 6])


def test_an_answer_at_random() -> None:
    """Three boxes, each as likely; the phrase has [0, 0, 4, 4] and [6, 0, 10, 4], around which is [0, 0, 10, 4].

    [0, 0, 4, 4]: IoU 16 / 40 around, 1 with the first; its centre (2, 2) lies in both senses in.
    [0, 0, 10, 4]: IoU 1 around, 16 / 40 with each; its centre (5, 2) lies around, but in neither.
    [0, 6, 4, 10]: nothing. So each of the four measures is right once or twice in three.
    """
    parts = ((0.0, 0.0, 4.0, 4.0), (6.0, 0.0, 10.0, 4.0))
    boxes = (parts[0], (0.0, 0.0, 10.0, 4.0), (0.0, 6.0, 4.0, 10.0))
    answer = Prediction(1, 1, 1, 1, "two cups", boxes[1], boxes, (0.5, 0.5, 0.5), at_random=True, parts_xyxy=parts)
    third = Fraction(1, 3)
    found = measures_of(answer, ())
    assert [found[name] for name in MEASURES] == pytest.approx([float(n * third) for n in (1, 1, 2, 1)])
    assert Prediction.from_json(answer.to_json()) == answer
