from __future__ import annotations

import logging

import pytest

from grounding.errors import InputError
from grounding.webapp.telling import in_words, told


def test_an_answer_passes_as_it_is() -> None:
    assert in_words(lambda value: {"picture": value}, "status")("a") == {"picture": "a"}


@pytest.mark.parametrize(
    ("message", "sentence"),
    [
        ("there is no phrase: type one", "There is no phrase: type one."),
        ("a.png is empty: copy it.", "a.png is empty: copy it."),
    ],
)
def test_a_mistake_becomes_a_sentence(message: str, sentence: str) -> None:
    assert f">{sentence}<" in told(InputError(message))


def test_what_nobody_expected_is_logged_and_told_without_its_details(caplog) -> None:
    def fail() -> dict:
        raise RuntimeError("secret")

    with caplog.at_level(logging.ERROR):
        answer = in_words(fail, "status")()
    assert list(answer) == ["status"] and "secret" not in answer["status"]
    assert "That did not work" in answer["status"]
    assert "secret" in caplog.text and "fail failed" in caplog.text
