from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
from matplotlib.colors import to_rgb

import grounding
from grounding.extraction import ExtractionConfig
from grounding.types import Grounding
from grounding.visualization.drawing import PHRASE_COLOURS, heatmap_overlay
from grounding.webapp.answers import NO_IMAGE
from grounding.webapp.pictures import as_json, draw, error_line, shortened
from grounding.webapp.uploads import MOST_PHRASES, Photo
from tests.webapp.conftest import given

SIZE = (400, 300)
PHRASES = ["the red square", "der rote Würfel"]


def found(phrase: str, boxes: list[list[float]], hot: tuple[int, int] | None = None) -> Grounding:
    heatmap = np.zeros(SIZE[::-1], dtype=np.float32)
    if hot:
        heatmap[hot[1] : hot[1] + 40, hot[0] : hot[0] + 40] = 1
    return Grounding(phrase, np.array(boxes, np.float32).reshape(-1, 4), np.full(len(boxes), 0.5), heatmap, NO_IMAGE,
                     found=tuple(range(len(boxes))))  # fmt: skip


@pytest.fixture
def image() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (*SIZE[::-1], 3), dtype=np.uint8)


def photo_of(image: np.ndarray, scale: float = 1) -> Photo:
    """A photo of which this image was made, `scale` times as large."""
    size = (round(scale * image.shape[1]), round(scale * image.shape[0]))
    return Photo("a.png", "key", size, image)


def near(pixels: np.ndarray, colour: str) -> np.ndarray:
    """Where pixels have a colour, but for what smoothing does."""
    return (np.abs(pixels.astype(int) - np.rint(255 * np.array(to_rgb(colour)))).max(axis=-1) <= 3).nonzero()


def test_boxes_are_drawn_in_the_colours_of_their_phrases(image) -> None:
    image[:] = 90
    boxes = [[20, 60, 120, 140], [200, 60, 300, 140], [20, 180, 120, 260]]
    answers = [found(f"phrase {index}", [box]) for index, box in enumerate(boxes)]
    picture = draw(photo_of(image), answers, opacity=0)
    assert picture.shape == (600, 800, 3)
    for colour, box in zip(PHRASE_COLOURS, boxes, strict=False):
        rows, columns = near(picture, colour)
        x1, y1, x2, y2 = (2 * edge for edge in box)
        assert columns.min() == pytest.approx(x1, abs=3) and rows.max() == pytest.approx(y2, abs=3)
        assert columns.max() >= x2 - 3
        middle = (rows > y1 + 10) & (rows < y2 - 10)
        assert middle.any() and not ((columns[middle] > x1 + 10) & (columns[middle] < x2 - 10)).any()


def test_every_phrase_has_a_colour_of_its_own() -> None:
    assert len(set(PHRASE_COLOURS)) == len(PHRASE_COLOURS) == MOST_PHRASES


def test_the_heat_is_the_hottest_of_all_phrases(image) -> None:
    answers = [found("a", [], hot=(20, 20)), found("b", [], hot=(300, 200))]
    enlarged, heat = (cv2.resize(each, (800, 600)) for each in (image, answers[0].heatmap + answers[1].heatmap))
    expected = heatmap_overlay(enlarged, heat, opacity=0.6)
    np.testing.assert_array_equal(draw(photo_of(image), answers, opacity=0.6), expected)
    np.testing.assert_array_equal(draw(photo_of(image), answers, opacity=0), enlarged)
    np.testing.assert_array_equal(draw(photo_of(image), [], opacity=0.6), enlarged)


def test_long_phrases_are_shortened_on_labels() -> None:
    assert shortened("the car", 7) == "the car"
    assert shortened("the cars", 7) == "the ca…"
    assert shortened("the  cars", 5) == "the…"


def test_a_record_holds_what_ground_returns(answerer, photo_file) -> None:
    photo, method = given(photo_file), answerer.methods["refshapes"]
    written = json.loads(as_json(photo, answerer.ask(photo, PHRASES, "refshapes"), method, method.extraction))
    assert written["image"] == {"name": "street.png", "width": 150, "height": 110}
    assert written["method"] == "refshapes" and "sha256" in written["weights"]
    assert written["extraction"] == {"method": "quality"}
    assert [one["phrase"] for one in written["answers"]] == PHRASES
    for one, expected in zip(written["answers"], grounding.load("refshapes").ground(photo_file, PHRASES), strict=True):
        np.testing.assert_array_equal(np.float32(one["boxes_xyxy"]), expected.boxes_xyxy)
        np.testing.assert_allclose(one["scores"], expected.scores, atol=1e-5)
        assert one["no_proposal"] is False and tuple(one["found"]) == expected.found


def test_a_record_says_how_boxes_were_made(answerer, photo_file) -> None:
    photo = given(photo_file)
    for name, extraction, made in (
        ("refshapes", ExtractionConfig("rectangle", offset=0.4), {"method": "rectangle", "offset": 0.4}),
        ("zero-shot", ExtractionConfig("components", relative=0.3),
         {"method": "components", "relative": 0.3, "absolute": 0.0}),
        ("yolo-clip", None, None),
    ):  # fmt: skip
        answers = answerer.ask(photo, PHRASES[:1], name, extraction)
        written = json.loads(as_json(photo, answers, answerer.methods[name], extraction))
        assert written["extraction"] == made and written["warning"] == answers[0].warning
        assert len(written["answers"][0]["boxes_xyxy"]) == len(answers[0].scores)


@pytest.mark.parametrize(
    ("message", "sentence"),
    [
        ("there is no phrase: type one", "There is no phrase: type one."),
        ("a.png is empty: copy it.", "a.png is empty: copy it."),
    ],
)
def test_a_mistake_becomes_a_sentence(message: str, sentence: str) -> None:
    assert f">{sentence}<" in error_line(message)
