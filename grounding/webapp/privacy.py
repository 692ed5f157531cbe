"""Nothing leaves the machine: every answer of the server forbids browsers to ask anybody else.

Gradio's page names addresses outside, for social networks' previews and as examples of values. No browser asks them,
but they are taken out, so that the page names none at all.
"""

from __future__ import annotations

import re
from typing import Any

# Gradio makes functions from strings, inserts styles, and shows pictures from memory.
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self' data: blob:; worker-src 'self' blob:; "
    "base-uri 'self'; form-action 'self'; frame-ancestors 'self'; object-src 'none'"
)
OUTSIDE = re.compile(rb'"https://[^"]*"')


class LocalOnly:
    """Wraps an ASGI application.

    Args:
        app: what is served.
    """

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """Pass a request on, and what comes back with the policy."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if scope["path"] == "/":
            # The page is read below, so it may not be compressed.
            scope = {**scope, "headers": [pair for pair in scope["headers"] if pair[0] != b"accept-encoding"]}
        start: dict[str, Any] = {}
        page: list[bytes] = []

        async def send_with_policy(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                headers = [*message["headers"], (b"content-security-policy", POLICY.encode()),
                           (b"referrer-policy", b"no-referrer"), (b"x-content-type-options", b"nosniff")]  # fmt: skip
                start.update(message, headers=headers)
                if not _is_page(scope, headers):
                    await send(start)
            elif message["type"] == "http.response.body" and _is_page(scope, start["headers"]):
                page.append(message.get("body", b""))
                if not message.get("more_body"):
                    body = OUTSIDE.sub(b'""', b"".join(page))
                    headers = [pair for pair in start["headers"] if pair[0] != b"content-length"]
                    await send({**start, "headers": [*headers, (b"content-length", str(len(body)).encode())]})
                    await send({"type": "http.response.body", "body": body})
            else:
                await send(message)

        await self._app(scope, receive, send_with_policy)


def _is_page(scope: dict[str, Any], headers: list[tuple[bytes, bytes]]) -> bool:
    return scope["path"] == "/" and any(
        name == b"content-type" and value.startswith(b"text/html") for name, value in headers
    )
