"""A request's body is bounded: Gradio bounds each file of an upload, but neither their number nor any other body."""

from __future__ import annotations

from typing import Any

from starlette.responses import PlainTextResponse

BESIDES = 2**20  # bytes of a request beside the photo in it: phrases, settings, a form's own lines


class BodyTooLarge(Exception):
    """More came than may, after the application had begun to read."""


class BoundedBody:
    """Wraps an ASGI application.

    Args:
        app: what is served.
        max_bytes: of a photo; a request may be larger by `BESIDES`.
    """

    def __init__(self, app: Any, max_bytes: int) -> None:
        self._app = app
        self._limit = max_bytes + BESIDES

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """Pass a request on, or refuse it: by the length that it states, or else once so much has come."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        stated = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        begun, came = False, 0

        async def receive_some() -> dict[str, Any]:
            nonlocal came
            message: dict[str, Any] = await receive()
            came += len(message.get("body", b""))
            if came > self._limit:
                raise BodyTooLarge
            return message

        async def send_noting(message: dict[str, Any]) -> None:
            nonlocal begun
            if came > self._limit and not begun:  # the application may have made an answer of its own out of it
                raise BodyTooLarge
            begun = True
            await send(message)

        refusal = PlainTextResponse("this is more than the page takes at once", 413)
        if not stated.isdigit() or int(stated) > self._limit:
            await refusal(scope, receive, send)
            return
        try:
            await self._app(scope, receive_some, send_noting)
        except BodyTooLarge:
            if not begun:
                await refusal(scope, receive, send)
