"""Who asks too often is refused, and told when to come again."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from limits import RateLimitItemPerHour, RateLimitItemPerSecond

from grounding.webapp.clients import client_of
from grounding.webapp.rate import OPEN, UPLOADS, BoundedRate
from reliability.page_session import Session
from tests.webapp.asgi import QUESTION, UPLOAD, ask, other_addresses, taken
from tests.webapp.conftest import write_photo


@pytest.fixture
def bounded() -> BoundedRate:
    return BoundedRate(taken, RateLimitItemPerHour(2, namespace="u"), RateLimitItemPerHour(3, namespace="q"))


def test_each_client_has_its_own_bounds(bounded: BoundedRate) -> None:
    for client in ("10.0.0.1", "10.0.0.2"):
        assert [ask(bounded, UPLOAD, client=client)[0] for _ in range(4)] == [200, 200, 429, 429]
        assert [ask(bounded, QUESTION, client=client)[0] for _ in range(5)] == [200, 200, 200, 429, 429]
        assert [ask(bounded, f"{UPLOAD}/", client=client)[0]] == [429], "another way to write the address"


def test_a_client_has_so_many_requests_open() -> None:
    async def ask_while_others_wait() -> None:
        statuses: list[int] = []
        ended = asyncio.Event()

        async def waiting(*_: Any) -> None:
            await ended.wait()

        async def send(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])

        bounded = BoundedRate(waiting)

        def get(client: str) -> asyncio.Future[None]:
            scope = {"type": "http", "method": "GET", "path": "/", "client": (client, 1)}
            return asyncio.ensure_future(bounded(scope, None, send))

        held = [get("10.0.0.1") for _ in range(OPEN)] + [get("10.0.0.2")]
        await asyncio.sleep(0)
        assert not any(one.done() for one in held)
        await get("10.0.0.1")
        assert statuses == [429]
        ended.set()
        await asyncio.gather(*held, get("10.0.0.1"))
        assert statuses == [429], "once they have ended, it may ask again"
        assert not bounded._open, "nor is it remembered"

    asyncio.run(ask_while_others_wait())


def test_reading_has_a_bound_of_its_own() -> None:
    bounded = BoundedRate(taken, RateLimitItemPerHour(1, namespace="u"), readings=RateLimitItemPerHour(3))
    assert [ask(bounded, UPLOAD)[0] for _ in range(2)] == [200, 429]
    assert [ask(bounded, UPLOAD, method="GET")[0] for _ in range(4)] == [200, 200, 200, 429]


@pytest.mark.parametrize(
    ("address", "client"),
    [
        (("10.0.0.1", 5), "10.0.0.1"),
        (("2001:db8:1:2:3:4:5:6", 5, 0, 0), "2001:db8:1:2::/64"),
        (("fe80::1%eth0", 5, 0, 2), "fe80::/64"),
        (("::ffff:10.0.0.1", 5), "10.0.0.1"),
        (None, ""),
    ],
)
def test_what_one_client_is(address: tuple | None, client: str) -> None:
    assert client_of(address) == client


def test_a_refusal_says_for_how_long(bounded: BoundedRate) -> None:
    _, headers = [ask(bounded) for _ in range(3)][-1]
    assert 3500 < int(headers[b"retry-after"]) <= 3600


def test_after_the_time_it_goes_on() -> None:
    bounded = BoundedRate(taken, uploads=RateLimitItemPerSecond(1, multiples=2))
    codes = [ask(bounded)[0] for _ in range(2)]
    assert codes == [200, 429]
    while codes[-1] == 429:
        codes.append(ask(bounded)[0])


@other_addresses
def test_the_served_page_is_bounded(url: str, tmp_path: Path) -> None:
    path = tmp_path / "none.png"
    path.write_bytes(b"no image")
    flooding, other = Session(url, "127.0.0.3"), Session(url)
    answers = [flooding.upload(path) for _ in range(UPLOADS.amount * 2 + 1)]  # more than two minutes' on a border
    assert answers[-1].status_code == 429
    assert "too often" in answers[-1].json()["detail"]
    other.headers["x-forwarded-for"] = "127.0.0.3"  # a client cannot say itself who it is
    other.give(write_photo(tmp_path / "photo.png", seed=0))
    assert "photo.png" in other.status
