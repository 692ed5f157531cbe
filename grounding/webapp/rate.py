"""A client asks only so often, so that one that floods the page leaves room for the others."""

from __future__ import annotations

import math
import time
from typing import Any

from limits import RateLimitItem, RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter
from starlette.responses import JSONResponse

from grounding.webapp.disk import is_upload

UPLOADS = RateLimitItemPerMinute(120, namespace="uploads")  # each costs a decoded image
QUESTIONS = RateLimitItemPerMinute(1200, namespace="questions")  # a dragged slider asks some ten times a second


class BoundedRate:
    """Wraps an ASGI application. Only POST is counted: by it the page asks for all that costs work.

    Args:
        app: what is served.
        uploads: how often one address may upload.
        questions: how often it may ask anything else.
    """

    def __init__(self, app: Any, uploads: RateLimitItem = UPLOADS, questions: RateLimitItem = QUESTIONS) -> None:
        self._app = app
        self._uploads = uploads
        self._questions = questions
        self._asked = FixedWindowRateLimiter(MemoryStorage())

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """Pass a request on, or refuse it and say when to come again."""
        app = self._app
        if scope["type"] == "http" and scope["method"] == "POST":
            limit = self._uploads if is_upload(scope) else self._questions
            client = scope["client"][0]
            if not self._asked.hit(limit, client):
                seconds = max(1, math.ceil(self._asked.get_window_stats(limit, client).reset_time - time.time()))
                sentence = f"this is too often: wait for {seconds} seconds"
                app = JSONResponse({"detail": sentence}, 429, {"retry-after": str(seconds)})
        await app(scope, receive, send)
