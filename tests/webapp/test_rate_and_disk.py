"""Who asks too often is refused and told when to come again; who uploads much loses the files that came first."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from typing import Any

import pytest
from limits import RateLimitItemPerHour, RateLimitItemPerSecond

from grounding.webapp import disk
from grounding.webapp.disk import PHOTOS, BoundedDisk
from grounding.webapp.rate import UPLOADS, BoundedRate
from reliability.page_session import Session
from tests.webapp.conftest import write_photo

UPLOAD, QUESTION = "/gradio_api/upload", "/gradio_api/queue/join"


async def taken(scope: dict[str, Any], receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})


def ask(app: Any, path: str = UPLOAD, *, client: str = "10.0.0.1", method: str = "POST") -> tuple[int, dict]:
    """Status and headers of an application's answer."""
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {"type": "http", "method": method, "path": path, "client": (client, 1), "headers": []}
    asyncio.run(app(scope, None, send))
    return sent[0]["status"], dict(sent[0]["headers"])


@pytest.fixture
def bounded() -> BoundedRate:
    return BoundedRate(taken, RateLimitItemPerHour(2, namespace="u"), RateLimitItemPerHour(3, namespace="q"))


def test_each_client_has_its_own_bounds(bounded: BoundedRate) -> None:
    for client in ("10.0.0.1", "10.0.0.2"):
        assert [ask(bounded, UPLOAD, client=client)[0] for _ in range(4)] == [200, 200, 429, 429]
        assert [ask(bounded, QUESTION, client=client)[0] for _ in range(5)] == [200, 200, 200, 429, 429]
        assert [ask(bounded, f"{UPLOAD}/", client=client)[0]] == [429], "another way to write the address"


def test_reading_is_free(bounded: BoundedRate) -> None:
    assert {ask(bounded, UPLOAD, method="GET")[0] for _ in range(10)} == {200}


def test_a_refusal_says_for_how_long(bounded: BoundedRate) -> None:
    _, headers = [ask(bounded) for _ in range(3)][-1]
    assert 3500 < int(headers[b"retry-after"]) <= 3600


def test_after_the_time_it_goes_on() -> None:
    bounded = BoundedRate(taken, uploads=RateLimitItemPerSecond(1))
    codes = [ask(bounded)[0] for _ in range(2)]
    assert codes == [200, 429]
    while codes[-1] == 429:
        codes.append(ask(bounded)[0])


def test_the_served_page_is_bounded(url: str, tmp_path: Path) -> None:
    path = tmp_path / "none.png"
    path.write_bytes(b"no image")
    flooding, other = Session(url, "127.0.0.3"), Session(url)
    answers = [flooding.upload(path) for _ in range(UPLOADS.amount * 2 + 1)]  # more than two minutes' on a border
    assert answers[-1].status_code == 429
    assert "too often" in answers[-1].json()["detail"]
    other.give(write_photo(tmp_path / "photo.png", seed=0))
    assert "photo.png" in other.status


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
