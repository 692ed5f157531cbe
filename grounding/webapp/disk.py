"""Uploaded photos share a bounded part of the disk: for a new one, those that came first go."""

from __future__ import annotations

from pathlib import Path
from typing import Any

PHOTOS = 50  # of the largest size
FILES = 1000  # of any size, each of which is looked at when another one comes


class BoundedDisk:
    """Wraps an ASGI application.

    Args:
        app: what is served.
        uploaded: paths of the files that were uploaded, which the application adds to; those that are gone are removed.
        max_bytes: of a photo; there is room for `PHOTOS` of them, and for `FILES` smaller ones.
    """

    def __init__(self, app: Any, uploaded: set[str], max_bytes: int) -> None:
        self._app = app
        self._uploaded = uploaded
        self._limit = PHOTOS * max_bytes

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """Pass a request on, after some room was made if it uploads."""
        if is_upload(scope):
            self._make_room()
        await self._app(scope, receive, send)

    def _make_room(self) -> None:
        self._uploaded.intersection_update([path for path in self._uploaded if Path(path).is_file()])
        known = {path: Path(path).stat() for path in self._uploaded}
        total = sum(stat.st_size for stat in known.values())
        for path, stat in sorted(known.items(), key=lambda item: item[1].st_ctime):
            if total <= self._limit and len(self._uploaded) <= FILES:
                break
            Path(path).unlink()
            self._uploaded.remove(path)
            total -= stat.st_size


def is_upload(scope: dict[str, Any]) -> bool:
    """Whether a request brings files."""
    return scope["type"] == "http" and scope["method"] == "POST" and scope["path"].rstrip("/").endswith("/upload")
