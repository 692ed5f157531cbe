"""A phrase that fits nothing has a heatmap and candidates, but no box; and what is said above an answer."""

from __future__ import annotations

from dataclasses import replace
from html import unescape
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from grounding.types import Grounding
from grounding.visualization.drawing import heatmap_overlay
from grounding.webapp.answers import NO_IMAGE
from grounding.webapp.events import Handlers
from grounding.webapp.page import Components
from grounding.webapp.pictures import box_table, draw, status_line
from grounding.webapp.uploads import LARGEST_SIDE, Photo, receive
from tests.webapp.conftest import MAX_PIXELS, given, write_photo

gr = pytest.importorskip("gradio")

HEAT = np.linspace(0, 1, 1200, dtype=np.float32).reshape(30, 40)
BOXES = np.array([[4, 4, 20, 20], [22, 5, 38, 20], [0, 0, 3, 3]], np.float32)
PRESENT = Grounding("a dog", BOXES, np.array([0.9, 0.8, 0.1], np.float32), HEAT, NO_IMAGE, presence=0.9, found=(0, 1))
ABSENT = replace(PRESENT, phrase="a cat", presence=0.04, found=())
PHOTO = Photo("a.png", "key", (40, 30), np.full((30, 40, 3), 90, np.uint8))


def test_only_what_is_found_is_drawn() -> None:
    bare = heatmap_overlay(cv2.resize(PHOTO.pixels, (800, 600)), cv2.resize(HEAT, (800, 600)), opacity=0.5)
    np.testing.assert_array_equal(draw(PHOTO, [ABSENT], opacity=0.5), bare)
    drawn = (draw(PHOTO, [PRESENT], opacity=0.5) != bare).any(axis=-1)
    assert drawn[200, 70:90].any() and drawn[200, 750:770].any()  # a left edge and a right one
    assert not drawn[20:50, :50].any(), "a candidate is no answer"


def test_the_table_tells_what_is_found_from_what_is_not() -> None:
    found, _, others = box_table([PRESENT, ABSENT]).partition("<details>")
    assert found.count("<tr>") == 1 + 2 + 1 and "probably not there: presence 0.04" in found
    assert "<summary>4 more candidates</summary>" in others and others.count("<tr>") == 1 + 1 + 3
    assert "<details>" not in box_table([replace(PRESENT, found=(0, 1, 2))])


def test_what_is_absent_is_said_with_any_way_to_boxes(answerer, photo_file: Path, monkeypatch) -> None:
    """Whether anything fits is of the phrase, not of the boxes that are made from its heatmap."""
    ground = answerer.methods["refshapes"].ground
    monkeypatch.setattr(answerer.methods["refshapes"], "ground", lambda *asked: [
        replace(one, found=() if "elephant" in one.phrase else (0,), warning="no drawing") for one in ground(*asked)
    ])  # fmt: skip
    with gr.Blocks():
        ui = Components(list(answerer.methods.values()), [])
    handlers = Handlers(answerer, [], ui, max_pixels=MAX_PIXELS)
    values = {part: getattr(part, "value", None) for part in ui.all}
    values |= {ui.photo: given(photo_file), ui.phrases: "the red square\nan elephant"}
    for extraction in ("quality", "components", "grabcut"):
        answer = handlers.ask({**values, ui.extraction: extraction})
        told = unescape(answer[ui.status])
        assert 'refshapes: 1 box. Probably not there: "an elephant".' in told
        assert "<strong>No drawing.</strong>" in told


def test_a_warning_stands_in_the_line_of_status() -> None:
    assert status_line("Done.", "this & that") == (
        '<p class="status" role="status">Done.<strong>This &amp; that.</strong></p>'
    )
    assert "strong" not in status_line("Done.")


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
    marked = Grounding("x", np.array([[1200, 300, 1600, 700]], np.float32), np.ones(1, np.float32), HEAT, NO_IMAGE)
    plain, drawn = (draw(large, answers).astype(int) for answers in ([], [marked]))
    rows, columns = np.abs(drawn - plain).max(axis=-1).nonzero()
    assert columns.min() == pytest.approx(400, abs=4) and rows.max() == pytest.approx(700 / 3, abs=4)
