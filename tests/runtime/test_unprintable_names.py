"""Work that is done is told: names that a console or UTF-8 lacks are printed, drawn and written with escapes."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from grounding.methods.names import names_of
from grounding.runtime.cli import exit_on_input_error
from grounding.runtime.files import write_text_atomic
from grounding.visualization.commands import VisualizeConfig, compare, figure

NO_UTF8 = os.fsdecode(b"caf\xe9")


def saved_image(path: Path) -> Path:
    try:
        Image.fromarray(np.zeros((20, 30, 3), np.uint8)).save(path)
    except OSError:
        pytest.skip("this file system takes no such name")
    return path


def test_a_console_of_few_letters_shows_escapes(monkeypatch: pytest.MonkeyPatch) -> None:
    console = io.TextIOWrapper(io.BytesIO(), encoding="cp1252")
    monkeypatch.setattr(sys, "stdout", console)
    with exit_on_input_error():
        print("pictures/红.png", NO_UTF8)
    console.flush()
    assert console.buffer.getvalue().split() == [b"pictures/\\u7ea2.png", b"caf\\udce9"]  # type: ignore[attr-defined]


def test_pictures_of_files_and_folders_whose_names_are_no_utf8(tmp_path: Path) -> None:
    saved_image(tmp_path / f"{NO_UTF8}.png")
    for draw, methods in ((figure, ["centred-box"]), (compare, ["centred-box", "whole-image"])):
        config = VisualizeConfig(methods, tmp_path / NO_UTF8, image=tmp_path / f"{NO_UTF8}.png", phrases="a cat")
        assert all(path.is_file() for path in draw(config))


def test_runs_and_files_of_text_have_them_with_escapes(tmp_path: Path) -> None:
    assert names_of(NO_UTF8)[0] == "caf\\udce9"
    write_text_atomic(tmp_path / "page.html", f"<h1>{NO_UTF8} 红</h1>")
    assert (tmp_path / "page.html").read_text(encoding="utf-8") == "<h1>caf\\udce9 红</h1>"
