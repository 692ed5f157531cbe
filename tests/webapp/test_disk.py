"""Uploads share a bounded part of the disk: those that came first go."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from grounding.webapp import disk
from grounding.webapp.disk import PHOTOS, BoundedDisk
from reliability.page_session import Session
from tests.webapp.asgi import QUESTION, UPLOAD, ask, other_addresses, taken


def uploaded(folder: Path, names: range, size: int) -> list[str]:
    paths = [folder / f"{name}.png" for name in names]
    for path in paths:
        path.write_bytes(bytes(size))
        time.sleep(0.01)  # clocks of file systems are coarse
    return [str(path) for path in paths]


def test_the_files_that_came_first_go(tmp_path: Path) -> None:
    size = 1000
    files = uploaded(tmp_path, range(PHOTOS + 3), size)
    os.chmod(files[1], 0o600)  # the time of a change is what counts: this one came again
    known = set(files)
    app = BoundedDisk(taken, known, size)
    assert ask(app, QUESTION)[0] == 200
    assert known == set(files), "only an upload needs room"
    assert ask(app, UPLOAD)[0] == 200
    gone = {files[0], files[2], files[3]}
    assert known == set(files) - gone
    assert {str(path) for path in tmp_path.iterdir()} == known


def test_of_small_files_a_thousand_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk, "FILES", 4)
    files = uploaded(tmp_path, range(6), 1)
    known = set(files)
    ask(BoundedDisk(taken, known, 1000), UPLOAD)
    assert known == set(files[2:])


def test_files_that_are_gone_are_forgotten(tmp_path: Path) -> None:
    files = uploaded(tmp_path, range(3), 10)
    Path(files[1]).unlink()
    known = set(files)
    ask(BoundedDisk(taken, known, 10), UPLOAD)
    assert known == {files[0], files[2]}


@other_addresses
def test_the_served_page_keeps_few(url: str, uploads: Path, tmp_path: Path) -> None:
    session = Session(url, "127.0.0.4")
    paths = []
    for index in range(PHOTOS + 8):
        path = tmp_path / f"{index}.png"
        path.write_bytes(index.to_bytes(2, "big") + bytes(2**20 - 1000))
        answer = session.upload(path)
        answer.raise_for_status()
        paths.append(Path(answer.json()[0]))
    assert not paths[0].exists() and paths[-1].exists()
    assert sum(path.stat().st_size for path in uploads.rglob("*.png")) < (PHOTOS + 5) * 2**20
