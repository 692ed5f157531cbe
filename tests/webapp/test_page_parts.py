"""The page as it is put together: what travels with an event, and what stands in it from the start."""

from __future__ import annotations

from pathlib import Path

import gradio as gr
import requests
from PIL import Image

from grounding.data.images import SUFFIXES
from grounding.webapp.events import Handlers
from grounding.webapp.examples import ExampleImage
from grounding.webapp.page import build_page
from grounding.webapp.parts import lay_out

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


def test_a_very_narrow_example_has_a_thumbnail(answerer, tmp_path: Path) -> None:
    for size in ((1, 2000), (2000, 1)):
        Image.new("RGB", size, "red").save(tmp_path / "narrow.png")
        build_page(answerer, [ExampleImage(tmp_path / "narrow.png", ("a line",))], subtitle="")


def test_a_slider_that_is_moved_before_the_menu_of_heatmaps_has_followed(answerer, photo_file) -> None:
    with gr.Blocks():
        parts = lay_out(list(answerer.methods.values()), [], subtitle="")
    handlers = Handlers(answerer, [], parts)
    values = {part: getattr(part, "value", None) for part in parts.all}
    values |= {parts.photo: answerer.receive(photo_file), parts.phrases: "the red square"}
    values[parts.asked] = handlers.ask(values)[parts.asked]
    pictures = [handlers.redraw({**values, parts.heat_of: chosen})[parts.picture] for chosen in ("0", "3")]
    assert pictures[0] == pictures[1]
