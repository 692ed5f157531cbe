"""The page as it is put together: what travels with an event, and what stands in it from the start."""

from __future__ import annotations

import logging
import time
from pathlib import Path

import gradio as gr
import pytest
import requests
from PIL import Image

from grounding.data.images import SUFFIXES
from grounding.webapp import page as page_module
from grounding.webapp.events import in_words
from grounding.webapp.page import WAITING, build_page
from grounding.webapp.uploads import ExampleImage
from tests.webapp.conftest import MAX_PIXELS

ANSWERS = {"examples", "ask", "answer", "boxes", "status", "save_record"}


def test_answers_do_not_travel_back_with_a_question(url: str) -> None:
    config = requests.get(f"{url}config", timeout=30).json()
    names = {one["id"]: one["props"].get("elem_id") or one["type"] for one in config["components"]}
    asking = [one for one in config["dependencies"] if len(one["outputs"]) > 1]
    assert len(asking) == 10
    for one in asking:
        given = {names[number] for number in one["inputs"]}
        assert given.isdisjoint({*ANSWERS, "json"})
        assert {"upload", "phrases", "method", "extraction", "opacity", "state"} <= given


def test_a_file_that_was_saved_is_not_kept(answerer) -> None:
    page = build_page(answerer, [], max_pixels=MAX_PIXELS)
    after = [one for one in page.fns.values() if [part.get_block_name() for part in one.outputs] == ["json"]]
    assert len(after) == 1
    for one in after:
        assert "return null" in one.js and one.fn is not None and one.fn(None) is None


def test_every_image_that_can_be_read_can_be_dropped(answerer) -> None:
    page = build_page(answerer, [], max_pixels=MAX_PIXELS)
    [upload] = [one for one in page.blocks.values() if getattr(one, "elem_id", None) == "upload"]
    assert upload.file_types == sorted(SUFFIXES)
    assert {".jpg", ".jpeg", ".png", ".tif", ".pgm"} <= SUFFIXES


def test_a_very_narrow_example_has_a_thumbnail(answerer, tmp_path: Path) -> None:
    for size in ((1, 2000), (2000, 1)):
        Image.new("RGB", size, "red").save(tmp_path / "narrow.png")
        build_page(answerer, [ExampleImage(tmp_path / "narrow.png", ("a line",), "drawn")], max_pixels=MAX_PIXELS)


def test_the_queue_is_bounded(answerer, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen: dict[str, object] = {}
    monkeypatch.setattr(gr.Blocks, "queue", lambda page, **options: chosen.update(options) or page)
    build_page(answerer, [], max_pixels=MAX_PIXELS)
    assert chosen == {"api_open": False, "max_size": WAITING}


def test_old_uploads_go_though_nobody_asks(answerer, photo_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_module, "TIDY_SECONDS", 1)
    monkeypatch.setattr(page_module, "KEPT_SECONDS", 2)
    page = build_page(answerer, [], max_pixels=MAX_PIXELS)
    _, url, _ = page.launch(prevent_thread_lock=True, quiet=True)
    try:
        answer = requests.post(f"{url}gradio_api/upload", files={"files": photo_file.open("rb")}, timeout=30)
        upload, ends = Path(answer.json()[0]), time.monotonic() + 30
        assert upload.exists()
        while upload.exists() and time.monotonic() < ends:
            time.sleep(0.1)
        assert not upload.exists() and photo_file.exists()
    finally:
        page.close(verbose=False)


def test_what_nobody_expected_is_logged_and_told_without_its_details(caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> dict:
        raise RuntimeError("secret")

    with caplog.at_level(logging.ERROR):
        answer = in_words(fail, "status")()
    assert list(answer) == ["status"] and "secret" not in answer["status"]
    assert "That did not work" in answer["status"]
    assert "secret" in caplog.text and "fail failed" in caplog.text
