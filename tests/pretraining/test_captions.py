"""Captions for pretraining name what their picture shows, but for those that are wrong on purpose."""

from __future__ import annotations

from itertools import islice

import numpy as np

from pretraining.captions import WRONG_SHARE, captioned_pictures, captions_true_of
from pretraining.detection_pictures import detection_picture
from tests.data.refshapes.phrase_reader import COLOURS as COLOUR_WORDS
from tests.data.refshapes.phrase_reader import NOUNS


def named(caption: str, words: dict[str, str]) -> set[str]:
    text = f" {caption.replace(',', ' ')} "
    return {value for word, value in words.items() if f" {word} " in text and value}


def test_captions_name_what_is_shown_but_for_one_in_ten():
    wrong, pictures = 0, list(islice(captioned_pictures(0, 64), 400))
    for picture in pictures:
        assert picture.image.shape == (64, 64, 3) and picture.image.dtype == np.uint8
        assert named(picture.caption, COLOUR_WORDS) == {v for m in picture.mentions for n, v in m if n == "colour"}
        said = {value for mention in picture.mentions for name, value in mention if name == "shape"}
        assert said <= named(picture.caption, NOUNS), picture.caption
        wrong += not captions_true_of([picture])[0, 0]
    assert 0.5 * WRONG_SHARE < wrong / len(pictures) < 1.5 * WRONG_SHARE


def test_boxes_lie_in_the_picture():
    for seed in range(40):
        image, boxes = detection_picture(np.random.default_rng(seed))
        height, width = image.shape[:2]
        assert boxes.dtype == np.float32 and boxes.shape[1] == 4 and len(boxes)
        assert (boxes >= 0).all() and (boxes <= [width, height, width, height]).all()
