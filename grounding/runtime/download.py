"""A file from the internet, downloaded in as many goes as it takes."""

from __future__ import annotations

import os
import time
import zlib
from email.utils import formatdate
from pathlib import Path
from urllib.parse import urlsplit

import requests  # pooch and torch.hub start a broken download again from nothing: too costly for 13.5 GB
from tqdm import tqdm

from grounding.runtime.errors import InputError

CHUNK_BYTES = 64 * 1024
TIMEOUT_S = (10, 30)  # to connect, and for the next bytes
TRIES = 5
BACK_OFF_S = 1.0  # before the second try, doubled before each further one


def fetch(url: str, folder: Path, *, tries: int = TRIES) -> Path:
    """Download a file over HTTP, or go on with it, and return its place; one of its name that is there is taken as is.

    The bytes are collected in a file ending in ".part", which gets its final name when it is whole. No two processes
    may fetch into one folder at the same time. After so many tries in a row without one new byte it is given up with an
    InputError, as where the server refuses.
    """
    destination = folder / Path(urlsplit(url).path).name
    part = destination.with_name(f"{destination.name}.{zlib.crc32(url.encode()):08x}.part")  # of this address only
    failures, furthest = 0, 0
    while not destination.exists():
        try:
            part.open("ab").close()  # makes it, and leaves the time of the last change of one that is there
            _fetch_rest(url, part)
            os.replace(part, destination)
        except requests.RequestException as problem:
            # Only a size never reached before counts as progress: a server that ignores Range and always breaks
            # off at the same place would otherwise be asked for ever.
            failures = 0 if part.stat().st_size > furthest else failures + 1
            furthest = max(furthest, part.stat().st_size)
            refused = problem.response is not None and problem.response.status_code in (401, 403, 404, 410)
            if failures >= tries or refused or isinstance(problem, ValueError):  # which is of a malformed address
                raise InputError(
                    f"{url} could not be downloaded ({problem}): check address and connection, then run the same "
                    "command again, which goes on where this one stopped"
                ) from problem
            time.sleep(BACK_OFF_S * 2**failures)
    return destination


def _fetch_rest(url: str, part: Path) -> None:
    """One request for what `part` lacks; returns when it is whole."""
    start = part.stat().st_size
    headers = {"Accept-Encoding": "identity"}  # so that Content-Length and Range count the file's own bytes
    if start:  # 412 of a file that was changed since the part was last written
        headers |= {"Range": f"bytes={start}-", "If-Unmodified-Since": formatdate(part.stat().st_mtime, usegmt=True)}
    with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT_S) as response:
        status, its_range = response.status_code, response.headers.get("Content-Range", "")
        if status in (412, 416) or (status == 206 and not its_range.startswith(f"bytes {start}-")):
            os.truncate(part, 0)
            raise requests.ConnectionError("the file is another one than its first part was downloaded of")
        response.raise_for_status()
        start = start if status == 206 else 0  # 200 is the whole file, whatever was asked for
        length = response.headers.get("Content-Length")
        total = start + int(length) if length else None
        bar = tqdm(total=total, initial=start, unit="B", unit_scale=True, desc=part.stem)
        with part.open("ab" if start else "wb") as file, bar:
            for chunk in response.iter_content(CHUNK_BYTES):
                bar.update(file.write(chunk))
            if total not in (None, file.tell()):
                raise requests.ConnectionError(f"{file.tell():,} of {total:,} bytes came")
