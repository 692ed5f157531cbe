"""The served page over plain HTTP: ten users at once, limits, mistakes, and what the command line refuses."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import requests
from PIL import Image

import grounding
from reliability.page_session import Session, content_of
from tests.webapp.conftest import MAX_MEGABYTES, MAX_PIXELS, write_photo
from tests.webapp.test_uploads import png_that_claims

USERS = 10
COLOURS = ("red", "blue", "green", "yellow", "purple", "orange", "pink", "cyan", "brown", "white")


def test_ten_users_get_the_answers_to_their_own_questions(url: str, tmp_path: Path) -> None:
    photos = [write_photo(tmp_path / f"{user}.png", seed=user, size=(120 + 4 * user, 100)) for user in range(USERS)]
    phrases = [f"the {colour} square" for colour in COLOURS]
    alone = grounding.load("refshapes")
    expected = [alone.ground(path, [phrase])[0] for path, phrase in zip(photos, phrases, strict=True)]

    def use(user: int) -> list[dict]:
        session = Session(url)
        session.give(photos[user])
        session.values["phrases"] = phrases[user]
        session.send("ask", "click")
        records = [session.record()]
        for value in (0.3, 0.6):
            session.values |= {"extraction": "components", "relative": value}
            session.send("relative", "input")
            records.append(session.record())
        return records

    with ThreadPoolExecutor(USERS) as pool:
        answers = list(pool.map(use, range(USERS)))
    for user, (own, *moved) in enumerate(answers):
        assert own["image"] == {"name": f"{user}.png", "width": 120 + 4 * user, "height": 100}
        assert own["answers"][0]["phrase"] == phrases[user]
        np.testing.assert_array_equal(own["answers"][0]["boxes_xyxy"], expected[user].boxes_xyxy[:1])
        np.testing.assert_allclose(own["answers"][0]["scores"], expected[user].scores[:1], atol=1e-5)
        for record, value in zip(moved, (0.3, 0.6), strict=True):
            boxes, _ = grounding.extraction.boxes_from_heatmap(expected[user].heatmap, relative_threshold=value)
            np.testing.assert_array_equal(record["answers"][0]["boxes_xyxy"], boxes[:1])


def test_sessions_know_nothing_of_each_other(url: str, photo_file: Path) -> None:
    one, other = Session(url), Session(url)
    one.give(photo_file)
    other.values["phrases"] = "the red square"
    other.send("ask", "click")
    assert "There is no photo yet" in other.status
    one.values["phrases"] = "the red square"
    one.send("ask", "click")
    assert "ours: 1 box" in one.status


def test_mistakes_are_told_and_the_page_goes_on(url: str, photo_file: Path, tmp_path: Path) -> None:
    session = Session(url)
    session.send("ask", "click")
    assert "There is no photo yet" in session.status
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no image at all")
    session.give(broken)
    assert session.status.startswith("broken.png cannot be read as an image") and str(tmp_path) not in session.status
    large = write_photo(tmp_path / "large.png", seed=0, size=(500, MAX_PIXELS // 500 + 1))
    session.give(large)
    assert f"large.png has 500 x {MAX_PIXELS // 500 + 1} pixels" in session.status
    session.values["phrases"] = "the red square"
    session.send("ask", "click")
    assert "There is no photo yet" in session.status, "a refused photo is not asked"
    session.give(photo_file)
    for text, told in (("\n", "There is no phrase"), ("word " * 100, "77"), ("\n".join("abcdefgh"), "at most 7")):
        session.values["phrases"] = text
        session.send("ask", "click")
        assert told in session.status
        assert 'role="alert"' in session.values["status"] and "Traceback" not in session.values["status"]
    session.values |= {"phrases": "the red square", "lowest_score": None}
    session.send("ask", "click")
    assert "'Lowest score' has no value" in session.status
    session.values |= {"phrases": "the <b>red</b> ${square} {{one}}", "lowest_score": 0}
    session.send("ask", "click")
    assert "ours: 1 box" in session.status
    assert "<b>" not in session.values["boxes"] and "&lt;b&gt;red" in session.values["boxes"]


@pytest.mark.parametrize(
    ("mode", "suffix"), [("1", "png"), ("LA", "png"), ("I;16", "png"), ("P", "gif"), ("CMYK", "jpg")]
)
def test_odd_images_are_answered(url: str, tmp_path: Path, mode: str, suffix: str) -> None:
    path = tmp_path / f"odd.{suffix}"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 60), dtype=np.uint8)).convert(mode).save(path)
    session = Session(url)
    session.give(path)
    session.values["phrases"] = "anything"
    session.send("ask", "click")
    assert "ours: 1 box" in session.status


@pytest.mark.parametrize("size", [(1, 1), (1, 400), (400, 1)])
def test_thin_images_are_answered(url: str, tmp_path: Path, size: tuple[int, int]) -> None:
    Image.new("RGB", size, "red").save(tmp_path / "thin.png")
    session = Session(url)
    session.give(tmp_path / "thin.png")
    session.values["phrases"] = "anything"
    for method in ("ours", "zero-shot", "gradcam", "yolo-clip", "reclip"):
        session.values["method"] = method
        session.send("ask", "click")
        assert f"{method}: 1 box" in session.status


def test_too_large_a_file_is_not_taken(url: str, tmp_path: Path) -> None:
    for megabytes, taken in ((0.9 * MAX_MEGABYTES, True), (1.1 * MAX_MEGABYTES, False)):
        content = png_that_claims(10, 10) + bytes(int(megabytes * 2**20))
        answer = requests.post(f"{url}gradio_api/upload", files={"files": ("a.png", BytesIO(content))}, timeout=30)
        assert answer.ok == taken


def test_the_saved_picture_is_the_photo_with_what_was_drawn(url: str, photo_file: Path) -> None:
    session = Session(url)
    session.give(photo_file)
    session.values["phrases"] = "the red square\nthe blue square"
    session.send("ask", "click")
    file = session.send("save_picture", "click")["json"]
    assert file["name"] == "street_grounded.png"
    picture = Image.open(BytesIO(content_of(file)))
    assert picture.format == "PNG" and picture.size == (800, round(110 * 800 / 150))


def test_only_what_the_page_needs_is_served(url: str) -> None:
    page = requests.get(url, timeout=30)
    assert "default-src 'self'" in page.headers["content-security-policy"]
    assert "https://" not in page.text
    assert not [line for line in page.text.splitlines() if "http://" in line and url.rstrip("/") not in line]
    for path in ("docs", "openapi.json", "redoc", "monitoring", "monitoring/summary", "gradio_api/openapi.json",
                 "gradio_api/queue/status"):  # fmt: skip
        assert not requests.get(f"{url}{path}", timeout=30).ok, path
    assert requests.get(f"{url}gradio_api/info", timeout=30).json() == {"named_endpoints": {}, "unnamed_endpoints": {}}
    for path in ("etc/passwd", "proc/self/environ"):
        assert not requests.get(f"{url}gradio_api/file=/{path}", timeout=30).ok
    config = requests.get(f"{url}config", timeout=30).json()
    assert config["analytics_enabled"] is False and config["footer_links"] == []
    assert config["stylesheets"] == []
