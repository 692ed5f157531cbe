from __future__ import annotations

import asyncio
from typing import Any

from grounding.webapp.privacy import LocalOnly

PAGE = [b'<meta property="og:image" content="https://elsew', b'here.example/a.png"><base href="http://own/">']
CLEAN = b'<meta property="og:image" content=""><base href="http://own/">'


def answer(path: str, kind: bytes, body: list[bytes]) -> tuple[dict[bytes, bytes], bytes, dict[str, Any]]:
    """Headers and body that reach the browser from an application with this answer, and the scope that it saw."""
    seen: dict[str, Any] = {}
    sent: list[dict[str, Any]] = []

    async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
        seen.update(scope)
        length = str(sum(map(len, body))).encode()
        headers = [(b"content-type", kind), (b"content-length", length)]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for index, part in enumerate(body):
            await send({"type": "http.response.body", "body": part, "more_body": index + 1 < len(body)})

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {"type": "http", "path": path, "headers": [(b"accept-encoding", b"br"), (b"host", b"a")]}
    asyncio.run(LocalOnly(application)(scope, None, send))
    [start, *rest] = sent
    assert start["type"] == "http.response.start"
    assert [message["type"] for message in rest] == ["http.response.body"] * len(rest)
    return dict(start["headers"]), b"".join(message["body"] for message in rest), seen


def test_the_page_names_no_address_outside() -> None:
    headers, body, seen = answer("/", b"text/html; charset=utf-8", PAGE)
    assert body == CLEAN
    assert headers[b"content-length"] == str(len(CLEAN)).encode()
    assert b"default-src 'self'" in headers[b"content-security-policy"]
    assert seen["headers"] == [(b"host", b"a")]


def test_everything_else_passes_as_it_is_with_the_policy() -> None:
    for path, kind in (("/a.js", b"text/javascript"), ("/", b"application/json"), ("/login", b"text/html")):
        headers, body, _ = answer(path, kind, PAGE)
        assert body == b"".join(PAGE)
        assert headers[b"content-length"] == str(len(body)).encode()
        assert b"connect-src 'self'" in headers[b"content-security-policy"]
