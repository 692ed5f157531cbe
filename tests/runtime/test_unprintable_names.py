"""Work that is done is told: names that a console or UTF-8 lacks are printed, drawn and written with escapes."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from grounding.methods.names import run_name
from grounding.runtime.cli import exit_on_input_error
from grounding.runtime.files import write_text_atomic
from grounding.visualization.commands import VisualizeConfig, compare, figure
from grounding.visualization.layout import fitted
from tests.scripts import ROOT

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


def test_a_command_ends_well_on_such_a_console(tmp_path: Path) -> None:
    saved_image(tmp_path / "红.png")
    command = [sys.executable, str(ROOT / "visualize.py"), "centred-box", "--image", "红.png", "--phrases", "a cat",
               "--output", "pictures"]  # fmt: skip
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, timeout=300, env={**os.environ, "PYTHONIOENCODING": "cp1252"}
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert rb"\u7ea2_centred-box.png" in done.stdout
    assert (tmp_path / "pictures" / "红_centred-box.png").is_file()


def test_pictures_of_files_and_folders_whose_names_are_no_utf8(tmp_path: Path) -> None:
    saved_image(tmp_path / f"{NO_UTF8}.png")
    for draw, methods in ((figure, ["centred-box"]), (compare, ["centred-box", "whole-image"])):
        config = VisualizeConfig(methods, tmp_path / NO_UTF8, image=tmp_path / f"{NO_UTF8}.png", phrases="a cat")
        assert all(path.is_file() for path in draw(config))
    assert fitted(NO_UTF8, 5, 10, 1) == ["caf\\udce9"]


def test_runs_and_files_of_text_have_them_with_escapes(tmp_path: Path) -> None:
    assert run_name(NO_UTF8) == "caf\\udce9"
    write_text_atomic(tmp_path / "page.html", f"<h1>{NO_UTF8} 红</h1>")
    assert (tmp_path / "page.html").read_text(encoding="utf-8") == "<h1>caf\\udce9 红</h1>"
