"""An application that is not there, and one question to it."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import pytest

UPLOAD, QUESTION = "/gradio_api/upload", "/gradio_api/queue/join"
other_addresses = pytest.mark.skipif(
    sys.platform != "linux", reason="only Linux has all of 127.0.0.0/8 without being told"
)


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
