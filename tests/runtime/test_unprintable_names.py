"""Work that is done is told: names that a console or UTF-8 lacks are printed, drawn and written with escapes."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path

import pytest

from grounding.methods.names import names_of
from grounding.runtime.cli import exit_on_input_error
from grounding.runtime.files import write_text_atomic

NO_UTF8 = os.fsdecode(b"caf\xe9")


def test_a_console_of_few_letters_shows_escapes(monkeypatch: pytest.MonkeyPatch) -> None:
    console = io.TextIOWrapper(io.BytesIO(), encoding="cp1252")
    monkeypatch.setattr(sys, "stdout", console)
    with exit_on_input_error():
        print("pictures/红.png", NO_UTF8)
    console.flush()
    assert console.buffer.getvalue().split() == [b"pictures/\\u7ea2.png", b"caf\\udce9"]  # type: ignore[attr-defined]


def test_runs_and_files_of_text_have_them_with_escapes(tmp_path: Path) -> None:
    assert names_of(NO_UTF8)[0] == "caf\\udce9"
    write_text_atomic(tmp_path / "page.html", f"<h1>{NO_UTF8} 红</h1>")
    assert (tmp_path / "page.html").read_text(encoding="utf-8") == "<h1>caf\\udce9 红</h1>"
