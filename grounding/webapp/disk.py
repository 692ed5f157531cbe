"""Uploaded photos are kept for an hour in a bounded part of the disk: for a new one, those that came first go."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

SECONDS = 3600  # for which a file stays
SECONDS_EMPTY = 60  # for which a folder may wait for the file that it was made for
PHOTOS = 50  # of the largest size that may be there
FILES = 1000  # of any size, each of which is looked at when another one comes


class Uploads:
    """The folder of uploads; what is there from the start stays.

    Args:
        folder: where the application writes whatever a client sends, finished or not.
        max_bytes: of a photo.
    """

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self._folder = folder
        self._own = set(self._all())
        self._limit = PHOTOS * max_bytes

    def tidy(self) -> None:
        """Remove what is too old or too much, the oldest first, and folders that have been empty for a while."""
        now = time.time()
        found = []
        for path in set(self._all()) - self._own:
            with suppress(OSError):  # it is gone meanwhile, or no empty folder
                stat = path.stat()
                if path.is_file():
                    found.append((stat.st_ctime, stat.st_size, path))
                elif stat.st_mtime < now - SECONDS_EMPTY:
                    path.rmdir()
        count, total = len(found), sum(size for _, size, _ in found)
        for changed, size, path in sorted(found):
            if count <= FILES and total <= self._limit and changed > now - SECONDS:
                break
            with suppress(OSError):
                path.unlink()
            count, total = count - 1, total - size

    def _all(self) -> Iterator[Path]:
        for folder, folders, files in os.walk(self._folder):  # which passes over what goes meanwhile
            yield from (Path(folder, name) for name in (*folders, *files))


class TidyUploads:
    """Wraps an ASGI application.

    Args:
        app: what is served.
        uploads: tidied before each new one.
    """

    def __init__(self, app: Any, uploads: Uploads) -> None:
        self._app = app
        self._uploads = uploads

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """Pass a request on, after some room was made if it uploads."""
        if is_upload(scope):
            self._uploads.tidy()
        await self._app(scope, receive, send)


def is_upload(scope: dict[str, Any]) -> bool:
    """Whether a request brings files."""
    return scope["type"] == "http" and scope["method"] == "POST" and scope["path"].rstrip("/").endswith("/upload")
