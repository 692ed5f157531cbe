"""The page as it is put together: what travels with an event, and what stands in it from the start."""

from __future__ import annotations

import requests

from grounding.data.images import SUFFIXES
from grounding.webapp.page import build_page

ANSWERS = {"examples", "ask", "answer", "boxes", "status", "save_picture", "save_record"}


def test_answers_do_not_travel_back_with_a_question(url: str) -> None:
    config = requests.get(f"{url}config", timeout=30).json()
    names = {one["id"]: one["props"].get("elem_id") or one["type"] for one in config["components"]}
    asking = [one for one in config["dependencies"] if len(one["outputs"]) > 1]
    assert len(asking) > 10
    for one in asking:
        given = {names[number] for number in one["inputs"]}
        assert given.isdisjoint({*ANSWERS, "json"})
        assert {"upload", "phrases", "method", "extraction", "opacity", "heat_of", "state"} <= given


def test_a_file_that_was_saved_is_not_kept(answerer) -> None:
    page = build_page(answerer, [], subtitle="")
    after = [one for one in page.fns.values() if [part.get_block_name() for part in one.outputs] == ["json"]]
    assert len(after) == 2
    for one in after:
        assert "return null" in one.js and one.fn is not None and one.fn(None) is None


def test_the_subtitle_is_text(answerer) -> None:
    page = build_page(answerer, [], subtitle="runs/<img src=x> ${a}")
    [title] = [one.value for one in page.blocks.values() if getattr(one, "elem_id", None) == "title"]
    assert "<img" not in title and "${" not in title and "runs/&lt;img src=x&gt;" in title


def test_every_image_that_can_be_read_can_be_dropped(answerer) -> None:
    page = build_page(answerer, [], subtitle="")
    [upload] = [one for one in page.blocks.values() if getattr(one, "elem_id", None) == "upload"]
    assert upload.file_types == sorted(SUFFIXES)
    assert {".jpg", ".jpeg", ".png", ".tif", ".pgm"} <= SUFFIXES
