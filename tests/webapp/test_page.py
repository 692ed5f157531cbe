"""The page as it is put together: what it takes and keeps, and what it says."""

from __future__ import annotations

import time
from dataclasses import replace
from html import unescape
from pathlib import Path

import gradio as gr
import pytest
import requests
from PIL import Image

from grounding.data.images import SUFFIXES
from grounding.webapp import page as page_module
from grounding.webapp.events import Handlers
from grounding.webapp.page import WAITING, Components, build_page
from grounding.webapp.uploads import ExampleImage
from tests.webapp.conftest import MAX_PIXELS, given


def test_what_is_bounded_taken_and_not_kept(answerer) -> None:
    page = build_page(answerer, [], max_pixels=MAX_PIXELS)
    assert page._queue.max_size == WAITING and not page.api_open
    [upload] = [one for one in page.blocks.values() if getattr(one, "elem_id", None) == "upload"]
    assert upload.file_types == sorted(SUFFIXES) and {".jpg", ".jpeg", ".png", ".tif", ".pgm"} <= SUFFIXES
    [saved] = [one for one in page.fns.values() if [part.get_block_name() for part in one.outputs] == ["json"]]
    assert "return null" in saved.js and saved.fn is not None and saved.fn(None) is None


def test_a_very_narrow_example_has_a_thumbnail(answerer, tmp_path: Path) -> None:
    for size in ((1, 2000), (2000, 1)):
        Image.new("RGB", size, "red").save(tmp_path / "narrow.png")
        build_page(answerer, [ExampleImage(tmp_path / "narrow.png", ("a line",), "drawn")], max_pixels=MAX_PIXELS)


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


def test_what_is_absent_is_said_with_any_way_to_boxes(answerer, photo_file: Path, monkeypatch) -> None:
    """Whether anything fits is of the phrase, not of the boxes that are made from its heatmap."""
    ground = answerer.methods["refshapes"].ground
    monkeypatch.setattr(answerer.methods["refshapes"], "ground", lambda *asked: [
        replace(one, found=() if "elephant" in one.phrase else (0,), warning="a & b") for one in ground(*asked)
    ])  # fmt: skip
    with gr.Blocks():
        ui = Components(list(answerer.methods.values()), [])
    handlers = Handlers(answerer, [], ui, max_pixels=MAX_PIXELS)
    values = {part: getattr(part, "value", None) for part in ui.all}
    values |= {ui.photo: given(photo_file), ui.phrases: "the red square\nan elephant"}
    for extraction in ("quality", "components"):
        answer = handlers.ask({**values, ui.extraction: extraction})
        told = unescape(answer[ui.status])
        assert 'refshapes: 1 box. Probably not there: "an elephant".' in told
        assert "<strong>A & b.</strong>" in told
