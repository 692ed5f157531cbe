"""A file is the one before or the new one, whatever happens while it is written."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from grounding.runtime.files import atomic_write, write_text_atomic


def test_an_error_leaves_the_one_before(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file.txt"
    write_text_atomic(path, "old")
    with pytest.raises(TypeError), atomic_write(path) as unfinished:
        unfinished.write_text("half") + None  # type: ignore[operator]
    assert path.read_text() == "old" and [each.name for each in path.parent.iterdir()] == ["file.txt"]


def test_the_content_is_on_the_disk_before_the_name_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file.txt"
    path.write_text("old")
    seen = []
    flush = os.fsync

    def watched(descriptor: int) -> None:
        seen.append((os.path.samestat(os.fstat(descriptor), tmp_path.stat()), path.read_text()))
        flush(descriptor)

    monkeypatch.setattr(os, "fsync", watched)
    write_text_atomic(path, "new")
    assert seen == [(False, "old"), (True, "new")]  # the file under its other name, then the folder

    def full(_: int) -> None:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_text_atomic(path, "newer")
    assert path.read_text() == "new" and len(list(tmp_path.iterdir())) == 1
