"""Every method answers an image that is asked nothing with nothing."""

from __future__ import annotations

import numpy as np
import pytest

import grounding
from grounding.methods.load import TRAINING_FREE


@pytest.mark.parametrize("name", ["refshapes", *TRAINING_FREE])
def test_images_without_phrases(name: str) -> None:
    image = np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    method = grounding.load(name)
    answers = method.ground_batch([image, image, image], [["a"], [], ["a", "b"]])
    assert [len(of_image) for of_image in answers] == [1, 0, 2]
    assert method.ground_batch([image], [[]]) == [[]]
    assert method.ground_batch([], []) == []
    assert method.ground(image, []) == []
