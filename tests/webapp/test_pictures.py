from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from grounding.extraction import ExtractionConfig
from grounding.types import Grounding
from grounding.visualization.drawing import PHRASE_COLOURS, heatmap_overlay
from grounding.webapp.answers import NO_IMAGE
from grounding.webapp.pictures import as_json, box_table, draw
from grounding.webapp.uploads import LARGEST_SIDE, MOST_PHRASES, Photo, receive
from tests.visualization.made_up_examples import extent, near
from tests.webapp.conftest import given, write_photo

SIZE = (400, 300)
PHRASES = ["the red square", "der rote Würfel"]


def found(phrase: str, boxes: list[list[float]], hot: tuple[int, int] | None = None) -> Grounding:
    heatmap = np.zeros(SIZE[::-1], dtype=np.float32)
    if hot:
        heatmap[hot[1] : hot[1] + 40, hot[0] : hot[0] + 40] = 1
    return Grounding(phrase, np.array(boxes, np.float32).reshape(-1, 4), np.full(len(boxes), 0.5), heatmap, NO_IMAGE,
                     found=tuple(range(len(boxes))))  # fmt: skip


IMAGE = np.random.default_rng(0).integers(0, 256, (*SIZE[::-1], 3), dtype=np.uint8)
PHOTO = Photo("a.png", "key", SIZE, IMAGE)
SMALL = Photo("a.png", "key", (40, 30), np.full((30, 40, 3), 90, np.uint8))
HEAT = np.linspace(0, 1, 1200, dtype=np.float32).reshape(30, 40)
BOXES = np.array([[4, 4, 20, 20], [22, 5, 38, 20], [0, 0, 3, 3]], np.float32)
PRESENT = Grounding("a dog", BOXES, np.array([0.9, 0.8, 0.1], np.float32), HEAT, NO_IMAGE, presence=0.9, found=(0, 1))
ABSENT = replace(PRESENT, phrase="a cat", presence=0.04, found=())


def test_boxes_are_drawn_in_the_colours_of_their_phrases() -> None:
    """In pixels of an original that is four times as large as the pixels that are kept of it."""
    boxes = [[80, 240, 480, 560], [800, 240, 1200, 560], [80, 720, 480, 1040]]
    answers = [found(f"phrase {index}", [box]) for index, box in enumerate(boxes)]
    picture = draw(replace(PHOTO, size=(1600, 1200), pixels=np.full_like(IMAGE, 90)), answers, opacity=0)
    assert picture.shape == (600, 800, 3)
    for colour, box in zip(PHRASE_COLOURS, boxes, strict=False):
        mask = near(picture, colour, within=3)
        x1, y1, x2, y2 = (edge // 2 for edge in box)
        mask[y1 - 30 : y1 - 4] = False  # the label's plate
        np.testing.assert_allclose(extent(mask), (x1, y1, x2, y2), atol=4)
        assert not mask[y1 + 10 : y2 - 10, x1 + 10 : x2 - 10].any()
    assert len(set(PHRASE_COLOURS)) == len(PHRASE_COLOURS) == MOST_PHRASES


def test_the_heat_is_the_hottest_of_all_phrases() -> None:
    answers = [found("a", [], hot=(20, 20)), found("b", [], hot=(300, 200))]
    enlarged, heat = (cv2.resize(each, (800, 600)) for each in (IMAGE, answers[0].heatmap + answers[1].heatmap))
    expected = heatmap_overlay(enlarged, heat, opacity=0.6)
    np.testing.assert_array_equal(draw(PHOTO, answers, opacity=0.6), expected)
    np.testing.assert_array_equal(draw(PHOTO, answers, opacity=0), enlarged)
    np.testing.assert_array_equal(draw(PHOTO, [], opacity=0.6), enlarged)


def test_only_what_is_found_is_drawn() -> None:
    bare = heatmap_overlay(cv2.resize(SMALL.pixels, (800, 600)), cv2.resize(HEAT, (800, 600)), opacity=0.5)
    np.testing.assert_array_equal(draw(SMALL, [ABSENT], opacity=0.5), bare)
    drawn = (draw(SMALL, [PRESENT], opacity=0.5) != bare).any(axis=-1)
    assert drawn[200, 70:90].any() and drawn[200, 750:770].any()  # a left edge and a right one
    assert not drawn[20:50, :50].any(), "a candidate is no answer"


def test_the_table_tells_what_is_found_from_what_is_not() -> None:
    found, _, others = box_table([PRESENT, ABSENT]).partition("<details>")
    assert found.count("<tr>") == 1 + 2 + 1 and "probably not there: presence 0.04" in found
    assert "<summary>4 more candidates</summary>" in others and others.count("<tr>") == 1 + 1 + 3
    assert "<details>" not in box_table([replace(PRESENT, found=(0, 1, 2))])


def test_a_record_says_what_was_found_and_how(answerer, photo_file) -> None:
    photo, method, extraction = given(photo_file), answerer.methods["refshapes"], ExtractionConfig("rectangle")
    [first, other] = answerer.ask(photo, PHRASES, "refshapes", extraction)
    answers = [first, replace(other, found=(), presence=0.04)]
    written = json.loads(as_json(photo, answers, method, extraction))
    assert written["image"] == {"name": "street.png", "width": 150, "height": 110}
    assert [written[key] for key in ("method", "weights", "warning")] == ["refshapes", method.weights, first.warning]
    assert written["extraction"] == {"method": "rectangle", **extraction.parameters}
    for one, answer in zip(written["answers"], answers, strict=True):
        np.testing.assert_array_equal(np.float32(one["boxes_xyxy"]), answer.boxes_xyxy)
        np.testing.assert_array_equal(np.float32(one["scores"]), answer.scores)
        for key in ("phrase", "presence", "calibrated", "no_proposal"):
            assert one[key] == getattr(answer, key)
        assert tuple(one["found"]) == answer.found


def test_a_large_photo_is_asked_small_and_answered_in_its_own_pixels(answerer, tmp_path: Path) -> None:
    write_photo(tmp_path / "large.png", seed=3, size=(2 * LARGEST_SIDE, 900))
    large = receive(tmp_path / "large.png", max_pixels=10**7)
    assert large.size == (2 * LARGEST_SIDE, 900) and large.pixels.shape == (450, LARGEST_SIDE, 3)
    Image.fromarray(large.pixels).save(tmp_path / "small.png")
    small = receive(tmp_path / "small.png", max_pixels=10**7)
    for name in ("zero-shot", "yolo-clip"):
        [of_large], [of_small] = (answerer.ask(photo, ["the red square"], name) for photo in (large, small))
        np.testing.assert_allclose(of_large.boxes_xyxy, 2 * of_small.boxes_xyxy, rtol=1e-6)
        assert of_large.heatmap.shape == (450, LARGEST_SIDE)
