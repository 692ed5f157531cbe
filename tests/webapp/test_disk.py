"""Uploads are kept for an hour in a bounded part of the disk: those that came first go."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from grounding.webapp import disk
from grounding.webapp.disk import PHOTOS, SECONDS, SECONDS_EMPTY, TidyUploads, Uploads
from reliability.page_session import Session
from tests.webapp.asgi import QUESTION, UPLOAD, ask, other_addresses, taken

SIZE = 1000


def uploaded(folder: Path, count: int) -> list[Path]:
    """Files as Gradio keeps them, each in a folder of its own."""
    paths = [folder / f"{number:02}" / "photo.png" for number in range(count)]
    for path in paths:
        path.parent.mkdir(parents=True)
        path.write_bytes(bytes(SIZE))
        time.sleep(0.01)  # clocks of file systems are coarse
    return paths


def there(paths: list[Path]) -> list[int]:
    return [number for number, path in enumerate(paths) if path.exists()]


@pytest.fixture
def after(monkeypatch: pytest.MonkeyPatch):
    """Sets the clock of the module so many seconds on."""
    now = time.time()
    return lambda seconds: monkeypatch.setattr(disk.time, "time", lambda: now + seconds)


def test_the_files_that_came_first_go(tmp_path: Path) -> None:
    uploads = Uploads(tmp_path, SIZE)
    files = uploaded(tmp_path, PHOTOS + 3)
    os.chmod(files[1], 0o600)  # the time of a change is what counts: this one came again
    app = TidyUploads(taken, uploads)
    assert ask(app, QUESTION)[0] == 200
    assert len(there(files)) == len(files), "only an upload needs room"
    assert ask(app, UPLOAD)[0] == 200
    assert there(files) == [1, *range(4, PHOTOS + 3)]


def test_of_small_files_a_thousand_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk, "FILES", 4)
    uploads = Uploads(tmp_path, 100 * SIZE)
    files = uploaded(tmp_path, 6)
    uploads.tidy()
    assert there(files) == [2, 3, 4, 5]


def test_after_an_hour_a_file_goes_and_then_its_folder(tmp_path: Path, after) -> None:
    (tmp_path / "examples").mkdir()
    own = tmp_path / "examples" / "a.png"
    own.touch()
    uploads = Uploads(tmp_path, SIZE)
    files = uploaded(tmp_path, 2)
    (tmp_path / "broken_off").touch()
    after(SECONDS - 10)
    uploads.tidy()
    assert there(files) == [0, 1]
    after(SECONDS + 10)
    uploads.tidy()
    assert there(files) == [] and own.exists(), "what was there from the start stays"
    assert files[0].parent.exists(), "another file may be about to come into it"
    after(SECONDS + 10 + SECONDS_EMPTY)
    uploads.tidy()
    assert [path.name for path in tmp_path.iterdir()] == ["examples"]


@other_addresses
def test_the_served_page_keeps_few(url: str, uploads: Path, tmp_path: Path) -> None:
    session = Session(url, "127.0.0.4")
    paths = []
    for index in range(PHOTOS + 8):
        path = tmp_path / f"{index}.png"
        path.write_bytes(index.to_bytes(2, "big") + bytes(2**20 - 1000))
        answer = session.upload(path, field="files" if index % 2 else "others")  # of which Gradio takes no note
        answer.raise_for_status()
        paths += map(Path, answer.json())
    assert not paths[0].exists() and paths[-1].exists()
    assert sum(path.stat().st_size for path in uploads.rglob("*") if path.is_file()) < (PHOTOS + 5) * 2**20
