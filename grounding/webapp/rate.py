"""A client asks only so often and so much at once, so that one that floods the page leaves room for the others."""

from __future__ import annotations

import math
import time
from collections import Counter
from typing import Any

from limits import RateLimitItem, RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter
from starlette.responses import JSONResponse

from grounding.webapp.clients import client_of
from grounding.webapp.disk import is_upload

UPLOADS = RateLimitItemPerMinute(120, namespace="uploads")  # each costs a decoded image
QUESTIONS = RateLimitItemPerMinute(1200, namespace="questions")  # a dragged slider asks some ten times a second
READINGS = RateLimitItemPerMinute(3000, namespace="readings")  # a page has some hundred files
OPEN = 100  # a browser tab holds some five


class BoundedRate:
    """Wraps an ASGI application.

    Args:
        app: what is served.
        uploads: how often one client may upload.
        questions: how often it may ask anything else by POST.
        readings: how often it may ask by other methods.
    """

    def __init__(
        self, app: Any, uploads: RateLimitItem = UPLOADS, questions: RateLimitItem = QUESTIONS,
        readings: RateLimitItem = READINGS,
    ) -> None:  # fmt: skip
        self._app = app
        self._uploads = uploads
        self._questions = questions
        self._readings = readings
        self._asked = FixedWindowRateLimiter(MemoryStorage())
        self._open: Counter[str] = Counter()

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """Pass a request on, or refuse it and say when to come again."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        client = client_of(scope["client"])
        seconds = self._seconds_to_wait(scope, client)
        if seconds:
            refusal = {"detail": f"this is too often: wait for {seconds} seconds"}
            await JSONResponse(refusal, 429, {"retry-after": str(seconds)})(scope, receive, send)
            return
        self._open[client] += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._open[client] -= 1
            if not self._open[client]:
                del self._open[client]

    def _seconds_to_wait(self, scope: dict[str, Any], client: str) -> int:
        if self._open[client] >= OPEN:
            return 1
        by_post = self._uploads if is_upload(scope) else self._questions
        limit = by_post if scope["method"] == "POST" else self._readings
        if self._asked.hit(limit, client):
            return 0
        return max(1, math.ceil(self._asked.get_window_stats(limit, client).reset_time - time.time()))
