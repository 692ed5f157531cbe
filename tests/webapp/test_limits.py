"""What is too much for the page is refused, whether or not its length is told before."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from grounding.webapp.limits import BESIDES
from reliability.page_session import Session
from tests.webapp.conftest import MAX_MEGABYTES

LIMIT = MAX_MEGABYTES * 2**20 + BESIDES
QUESTION = b'{"event_id": "', b'"}'


def in_chunks(length: int) -> Iterator[bytes]:
    """A question of so many bytes, whose length no header tells."""
    yield QUESTION[0]
    for _ in range((length - sum(map(len, QUESTION))) // 2**14):
        yield b"a" * 2**14
    yield QUESTION[1]


def test_many_files_at_once_are_not_taken(url: str, uploads: Path) -> None:
    before = sorted(uploads.rglob("*"))
    files = [("files", (f"{index}.png", bytes(2**19))) for index in range(6)]  # each within the limit of a file
    answer = requests.post(f"{url}gradio_api/upload", files=files, timeout=30)
    assert (answer.status_code, answer.text) == (413, "this is more than the page takes at once")
    assert sorted(uploads.rglob("*")) == before


@pytest.mark.parametrize("told", [True, False], ids=["length told", "in chunks"])
def test_an_endless_question_is_not_read(url: str, told: bool) -> None:
    def ask(length: int) -> int:
        data = b"".join(in_chunks(length)) if told else in_chunks(length)
        headers = {"content-type": "application/json"}
        return requests.post(f"{url}gradio_api/reset", data=data, headers=headers, timeout=30).status_code

    assert ask(LIMIT - 2**15) == 200
    assert ask(LIMIT + 2**15) == 413


def test_a_length_that_is_no_number_is_refused(url: str) -> None:
    answer = requests.post(f"{url}gradio_api/reset", data=b"", headers={"content-length": "-1"}, timeout=30)
    assert answer.status_code in (400, 413)


def test_wrong_kinds_of_values_are_told_and_the_page_goes_on(url: str, photo_file: Path) -> None:
    session = Session(url)
    session.give(photo_file)
    for name, value in (("phrases", ["a"]), ("phrases", None), ("method", "__class__"), ("lowest_score", "x")):
        kept = session.values | {"phrases": "the red square"}
        session.values = kept | {name: value}
        session.send("ask", "click")
        assert "did not work" in session.status and str(Path.cwd()) not in str(session.values)
        session.values = kept
    for phrase, told in (("a" * 500_000, "500000 characters"), ("\ud83d", "half a character")):
        session.values["phrases"] = phrase
        session.send("ask", "click")
        assert told in session.status


def test_a_slider_before_the_first_question_changes_nothing(url: str) -> None:
    session = Session(url)
    for slider in ("opacity", "most_boxes", "lowest_score"):
        session.send(slider, "input")
        assert session.status == "" and session.values["answer"] == Session(url).values["answer"]


@pytest.mark.parametrize("button", ["save_picture", "save_record"])
def test_a_session_that_was_forgotten_is_told_so(url: str, button: str) -> None:
    session = Session(url)
    session.send(button, "click")
    assert "no longer holds your photo: drop it again" in session.status
