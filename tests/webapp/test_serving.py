"""The served page over plain HTTP, and `visualize.py serve`: what it refuses, what it reaches for, how it ends."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import requests
from PIL import Image

import grounding
from grounding.runtime.errors import InputError
from grounding.webapp.serving import ServeConfig, launch
from reliability.page_session import Session
from tests.scripts import ROOT, assert_refused, run_script
from tests.webapp.conftest import MAX_MEGABYTES, MAX_PIXELS, write_photo

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
        np.testing.assert_array_equal(own["answers"][0]["boxes_xyxy"], expected[user].boxes_xyxy)
        np.testing.assert_allclose(own["answers"][0]["scores"], expected[user].scores, atol=1e-5)
        for record, value in zip(moved, (0.3, 0.6), strict=True):
            boxes, _ = grounding.extraction.boxes_from_heatmap(expected[user].heatmap, relative_threshold=value)
            np.testing.assert_array_equal(record["answers"][0]["boxes_xyxy"], boxes)


def test_mistakes_are_told_and_the_page_goes_on(url: str, photo_file: Path, tmp_path: Path) -> None:
    session = Session(url)
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
    for text, told in (("\n", "There is no phrase"), ("\n".join("abcdefgh"), "at most 7")):
        session.values["phrases"] = text
        session.send("ask", "click")
        assert told in session.status
        assert 'role="alert"' in session.values["status"] and "Traceback" not in session.values["status"]
    session.values |= {"phrases": "the red square", "opacity": None}
    session.send("ask", "click")
    assert '"Heatmap\'s opacity" has no value' in session.status
    session.values |= {"phrases": "the <b>red</b> ${square} {{one}}", "opacity": 0}
    session.send("ask", "click")
    assert "refshapes: 1 box" in session.status
    assert "<b>" not in session.values["boxes"] and "&lt;b&gt;red" in session.values["boxes"]


@pytest.mark.parametrize("size", [(1, 1), (400, 1)])
def test_thin_images_are_answered(url: str, tmp_path: Path, size: tuple[int, int]) -> None:
    Image.new("RGB", size, "red").save(tmp_path / "thin.png")
    session = Session(url)
    session.give(tmp_path / "thin.png")
    session.values["phrases"] = "anything"
    for method in ("refshapes", "zero-shot", "gradcam", "yolo-clip", "reclip"):
        session.values["method"] = method
        session.send("ask", "click")
        assert f"{method}: 1 box" in session.status or f"{method}: 0 boxes. Probably not" in session.status


def test_too_large_a_file_is_not_taken(url: str, tmp_path: Path) -> None:
    for megabytes, taken in ((0.9 * MAX_MEGABYTES, True), (1.1 * MAX_MEGABYTES, False)):
        files = {"files": ("a.png", bytes(int(megabytes * 2**20)))}
        answer = requests.post(f"{url}gradio_api/upload", files=files, timeout=30)
        assert answer.ok == taken


def test_wrong_kinds_of_values_are_logged_and_told_and_the_page_goes_on(
    url: str, photo_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    session = Session(url)
    session.give(photo_file)
    for name, value in (("phrases", ["a"]), ("phrases", None), ("method", "__class__"), ("opacity", "x")):
        kept = session.values | {"phrases": "the red square"}
        session.values = kept | {name: value}
        with caplog.at_level(logging.ERROR):
            session.send("ask", "click")
        assert "did not work" in session.status and str(Path.cwd()) not in str(session.values)
        session.values = kept
    assert "Traceback" in caplog.text
    for phrase, told in (("a" * 500_000, "longer than CLIP's 77 tokens"), ("\ud83d", "half a character")):
        session.values["phrases"] = phrase
        session.send("ask", "click")
        assert told in session.status


def test_a_session_without_a_question_changes_nothing_and_is_told_when_it_was_forgotten(url: str) -> None:
    session = Session(url)
    for slider in ("opacity", "relative"):
        session.send(slider, "input")
        assert session.status == "" and session.values["answer"] == Session(url).values["answer"]
    session.send("save_record", "click")
    assert "no longer holds your photo: drop it again" in session.status


def test_a_page_behind_a_password_answers_only_who_knows_it(photo_file: Path, tmp_path: Path) -> None:
    page, address = launch(ServeConfig("refshapes", port=0, device="cpu", auth="ada:lace:1"), tmp_path / "page")
    try:
        for path in ("config", "gradio_api/info", "gradio_api/queue/data?session_hash=a", "gradio_api/file=a.png"):
            assert requests.get(f"{address}{path}", timeout=30).status_code == 401, path
        files = {"files": photo_file.open("rb")}
        assert requests.post(f"{address}gradio_api/upload", files=files, timeout=30).status_code == 401
        question = {"data": [], "fn_index": 0, "session_hash": "a"}
        assert requests.post(f"{address}gradio_api/queue/join", json=question, timeout=30).status_code == 401
        with pytest.raises(requests.HTTPError, match="400"):
            Session(address, ("ada", "lace"))
        session = Session(address, ("ada", "lace:1"))
        session.give(photo_file)
        assert "street.png" in session.status
    finally:
        page.close(verbose=False)


def test_a_port_or_a_password_that_cannot_be_used_is_told(capsys, url: str, tmp_path: Path) -> None:
    for port in (int(url.rstrip("/").rpartition(":")[2]), 99999):
        outcome = run_script(capsys, "visualize.py", "serve", "refshapes", "--port", port, "--device", "cpu")
        assert_refused(outcome, f"port {port} of 127.0.0.1 cannot be used: give another --port")
    for auth in ("", "ada", "ada:", ":lace", " :lace"):
        with pytest.raises(InputError, match="auth lacks a user or a password: give --auth USER:PASSWORD"):
            launch(ServeConfig("refshapes", auth=auth), tmp_path)


# The command in a process that tells of every other machine that it reaches for.
PROBE = """
import runpy, socket, sys
import grounding.webapp.serving
assert "gradio" not in sys.modules, "Gradio is slow to import, and only needed to serve"

def local_only(own):
    def reach(*arguments, **options):
        if "127.0.0.1" not in str(arguments):  # by which Gradio asks whether it is up
            print(f"somebody wanted to reach {arguments}", file=sys.stderr)
            raise OSError("no network")
        return own(*arguments, **options)
    return reach

socket.getaddrinfo = local_only(socket.getaddrinfo)
socket.socket.connect, socket.socket.connect_ex = map(local_only, (socket.socket.connect, socket.socket.connect_ex))
sys.argv = "visualize.py serve refshapes --port 0 --device cpu".split()
runpy.run_path("visualize.py", run_name="__main__")
"""


@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_it_reaches_for_nobody_and_ends_quietly_while_browsers_show_the_page(
    tmp_path: Path, how: signal.Signals
) -> None:
    command = [sys.executable, "-c", PROBE]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # of a shell's background work it is ignored
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as server:
        signal.signal(signal.SIGINT, before)
        assert server.stdout is not None and server.stderr is not None
        url = server.stdout.readline().split()[0]
        with requests.get(f"{url}gradio_api/heartbeat/a", stream=True, timeout=60) as open_connection:
            assert open_connection.ok and list(tmp_path.iterdir())
            server.send_signal(how)
            assert server.wait(60) == 0
        complaints = server.stderr.read()
    assert not any(word in complaints for word in ("Traceback", "ERROR", "somebody wanted"))
    assert [path for path in tmp_path.iterdir() if path.name.startswith("grounding-")] == []
