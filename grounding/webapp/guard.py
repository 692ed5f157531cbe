"""What a client may not ask: whatever other page its browser has open, and whatever it writes by itself."""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import Any

import gradio as gr
from gradio.exceptions import InvalidPathError
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

ONLY_UPLOADED = "only uploaded files are taken"
# All that the page itself asks other than by GET. Gradio answers much more: calls outside the queue, recordings, edits.
ASKED = frozenset({"/login", *(f"/gradio_api/{path}" for path in ("upload", "queue/join", "cancel", "reset"))})
DEEP_LINK = "/deep_link"  # by which Gradio would write a session's values to disk
BESIDES = 2**20  # bytes of a request beside the photo in it: phrases, settings, a form's own lines
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
# Browsers ask no other machine. Gradio makes functions from strings, inserts styles, and shows pictures from memory.
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self' data: blob:; worker-src 'self' blob:; "
    "base-uri 'self'; form-action 'self'; frame-ancestors 'self'; object-src 'none'"
)


class RequestGuard:
    """ASGI middleware that refuses what the page itself never asks; a request may be a photo and `BESIDES`."""

    def __init__(self, app: ASGIApp, host: str, max_bytes: int) -> None:
        self._app = app
        self._names = names_of(host)
        self._limit = max_bytes + BESIDES

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_policy(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["content-security-policy"] = POLICY
                headers["referrer-policy"] = "no-referrer"
                headers["x-content-type-options"] = "nosniff"
            await send(message)

        refusal = self._refusal(scope["method"], scope["path"].rstrip("/"), Headers(scope=scope))
        await (refusal or self._app)(scope, receive, send_with_policy)

    def _refusal(self, method: str, path: str, headers: Headers) -> PlainTextResponse | None:
        host, origin = headers.get("host", "").lower(), headers.get("origin")
        if self._names is not None and re.sub(r":\d+$", "", host).strip("[]") not in self._names:
            return PlainTextResponse("this page is called by another name", 400)
        if origin is not None and origin.lower().partition("://")[2] != host:
            return PlainTextResponse("only the page itself may ask this", 403)
        if path.endswith(DEEP_LINK) or "://" in path:  # an address within a path would be fetched for the client
            return PlainTextResponse("there is no such file", 404)
        if method in ("GET", "HEAD"):
            return None
        if path not in ASKED:
            return PlainTextResponse("the page does not ask this", 405)
        length = headers.get("content-length", "")
        if not length.isdigit():  # every browser states it, and nobody can go beyond what was stated
            return PlainTextResponse("the request does not state its length", 411)
        if int(length) > self._limit:
            return PlainTextResponse("this is more than the page takes at once", 413)
        return None


class UploadsOnlyBlocks(gr.Blocks):
    """Blocks that open no path and no address that a client names: Gradio would download the latter."""

    async def preprocess_data(self, block_fn: Any, inputs: list[Any], *rest: Any, **options: Any) -> list[Any]:
        """Refuse addresses before Gradio looks at what a client sent, and files that were not uploaded."""
        refusal = gr.Error(ONLY_UPLOADED, print_exception=False)
        if names_address(inputs):
            raise refusal
        try:
            return await super().preprocess_data(block_fn, inputs, *rest, **options)
        except InvalidPathError as error:
            raise refusal from error


def names_address(value: Any) -> bool:
    """Whether a value of JSON holds a file whose path is an address."""
    if isinstance(value, dict):
        return "://" in str(value.get("path")) or any(map(names_address, value.values()))
    return isinstance(value, list) and any(map(names_address, value))


def names_of(host: str) -> frozenset[str] | None:
    """The names by which browsers may call a server that listens at a host; None for any.

    Only this machine reaches a loopback address. A request by another name comes from a page elsewhere, whose name
    was turned over to this address to get around the browser's rules. In a network, nobody knows all names.
    """
    try:
        local = ip_address(host).is_loopback
    except ValueError:
        local = host.lower() == "localhost"
    return LOOPBACK | {host.lower()} if local else None
