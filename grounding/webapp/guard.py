"""Requests that do not come from the page itself are refused, whatever other page the browser has open."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from starlette.responses import PlainTextResponse

# What Gradio answers to GET besides: a description of all that it answers, how its queue is, and a link to a session's
# values, which it would write to disk.
NOT_ASKED = ("/openapi.json", "/queue/status", "/deep_link")
# All that the page itself asks other than by GET. Gradio answers much more: calls outside the queue, recordings, edits.
ASKED = frozenset({"/gradio_api/upload", "/gradio_api/queue/join", "/gradio_api/cancel", "/gradio_api/reset"})
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


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


class OwnPage:
    """Wraps an ASGI application.

    Args:
        app: what is served.
        names: by which it may be called; None for any.
    """

    def __init__(self, app: Any, names: frozenset[str] | None) -> None:
        self._app = app
        self._names = names

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """Pass a request on, or refuse it."""
        app = self._app
        if scope["type"] == "http":
            headers = {name: value.decode("latin-1").lower() for name, value in scope["headers"]}
            host, origin = headers.get(b"host", ""), headers.get(b"origin")
            if self._names is not None and _netloc_name(f"//{host}") not in self._names:
                app = PlainTextResponse("this page is called by another name", 400)
            elif origin is not None and origin.partition("://")[2] != host:
                app = PlainTextResponse("only the page itself may ask this", 403)
            elif scope["method"] not in ("GET", "HEAD") and scope["path"].rstrip("/") not in ASKED:
                app = PlainTextResponse("the page does not ask this", 405)
            # An address within a path would be fetched for the client.
            elif "://" in scope["path"] or scope["path"].rstrip("/").endswith(NOT_ASKED):
                app = PlainTextResponse("there is no such file", 404)
        await app(scope, receive, send)


def _netloc_name(address: str) -> str | None:
    try:
        return urlsplit(address).hostname
    except ValueError:  # brackets that do not close
        return None
