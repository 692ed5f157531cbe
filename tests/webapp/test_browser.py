"""The page in a real Chromium: what a user does, and that the browser asks nobody but the server."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import grounding
from grounding.extraction import boxes_from_heatmap

playwright = pytest.importorskip("playwright.sync_api", reason="pip install -r requirements-dev.txt brings playwright")
from benchmarks.chromium import MISSING, chromium  # noqa: E402

PHRASES = ["the red square", "the blue square"]
FOUND = "#boxes :not(details) > table"


@pytest.fixture(scope="module")
def browser() -> Iterator[playwright.Browser]:
    with chromium() as found:
        if found is None:
            pytest.skip(MISSING)
        yield found


@pytest.fixture
def page(browser, url: str) -> Iterator[playwright.Page]:
    """The page in a tab of its own; afterwards, that it asked the server only and complained of nothing."""
    context = browser.new_context(viewport={"width": 1300, "height": 1000})
    tab = context.new_page()
    asked: list[str] = []
    complaints: list[str] = []
    tab.on("request", lambda request: asked.append(request.url))
    tab.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    context.route(lambda address: not address.startswith((url, "data:", "blob:")), lambda route: route.abort())
    tab.goto(url)
    tab.locator("#ask").wait_for()
    yield tab
    context.close()
    assert len(asked) > 20
    assert [address for address in asked if not address.startswith((url, "data:", "blob:"))] == []
    assert complaints == []


def status(page: playwright.Page, pattern: str) -> None:
    playwright.expect(page.locator("#status .status")).to_have_text(re.compile(pattern), timeout=30_000)


def choose_method(page: playwright.Page, name: str) -> None:
    page.locator("#method input").click()
    page.get_by_role("option", name=name).click()


def shows(page: playwright.Page, phrases: list[str], boxes: list[np.ndarray]) -> None:
    """The table's phrases and corners are, or become, these."""
    playwright.expect(page.locator(f"{FOUND} td.phrase")).to_have_text(phrases)
    corners = [f"{edge:.0f}" for box in boxes for edge in box]
    playwright.expect(page.locator(f"{FOUND} td:nth-child(n + 4)")).to_have_text(corners)


def test_a_photo_is_asked(page, photo_file: Path) -> None:
    expected = grounding.load("refshapes").ground(photo_file, PHRASES)
    page.locator("#upload input[type=file]").set_input_files(photo_file)
    status(page, r"street\.png, 150 x 110 pixels")
    page.locator("#phrases textarea").fill("\n".join(PHRASES))
    page.locator("#ask").click()
    status(page, r"refshapes: 2 boxes")
    shows(page, PHRASES, [one.boxes_xyxy[0] for one in expected])
    picture = page.locator("#answer img.answer")
    assert all(phrase in picture.get_attribute("alt") for phrase in PHRASES)
    seen = picture.get_attribute("src")

    with page.expect_download() as waiting:
        page.locator("#save_record").click()
    assert waiting.value.suggested_filename == "street_grounded.json"
    written = json.loads(Path(waiting.value.path()).read_text())
    for one, of_one in zip(written["answers"], expected, strict=True):
        np.testing.assert_array_equal(np.float32(one["boxes_xyxy"]), of_one.boxes_xyxy)

    page.locator("#extraction").get_by_text("components").click()
    slider = page.locator("#relative input[type=range]")
    slider.wait_for()
    for share in ("0.15", "0.85"):
        slider.fill(share)
        boxes = [boxes_from_heatmap(one.heatmap, relative_threshold=float(share))[0][0] for one in expected]
        shows(page, PHRASES, boxes)
        page.wait_for_function("seen => document.querySelector('#answer img.answer').src !== seen", arg=seen)
        seen = picture.get_attribute("src")

    choose_method(page, "zero-shot")
    status(page, r"zero-shot: 2 boxes")
    choose_method(page, "yolo-clip")
    status(page, r"yolo-clip: 2 boxes")
    playwright.expect(page.locator("#about")).to_contain_text("what the detector proposes")
    playwright.expect(page.locator("#extraction")).to_be_hidden()
    choose_method(page, "refshapes")
    status(page, r"refshapes: 2 boxes")
    playwright.expect(page.locator("#about")).not_to_contain_text("detector")
    playwright.expect(page.locator("#extraction input[value=quality]")).to_be_checked()
    shows(page, PHRASES, [one.boxes_xyxy[0] for one in expected])


def test_on_a_phone_an_examples_answer_comes_before_the_controls_of_its_boxes(page) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    page.locator("#examples .thumbnail-item").nth(1).click()
    status(page, r"refshapes: 2 boxes")
    phrases = page.locator("#phrases textarea").input_value().splitlines()
    playwright.expect(page.locator(f"{FOUND} td.phrase")).to_have_text(phrases)
    places = [
        page.locator(name).bounding_box() for name in ("#ask", "#answer img.answer", "#boxes", "#method", "#extraction")
    ]
    assert all(place["width"] <= 390 for place in places)
    assert [place["y"] for place in places] == sorted(place["y"] for place in places)
    button, picture, *_ = places
    assert picture["y"] - button["y"] - button["height"] < 120, "only the line of status lies between"
    assert page.evaluate("document.documentElement.scrollWidth") <= 390, "nothing has to be pushed aside"
