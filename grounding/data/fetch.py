"""One file over HTTP: a download that was killed or broke off goes on where it stopped."""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Mapping
from pathlib import Path

# The ready-made downloaders (pooch, torch.hub.download_url_to_file) start a broken download again from nothing: too
# costly for 13.5 GB.
import requests
from tqdm import tqdm

from grounding.errors import InputError
from grounding.runtime.files import write_text_atomic

CHUNK_BYTES = 64 * 1024
TIMEOUT_S = 30


def fetch(url: str, destination: Path, *, patience: int = 5, back_off_s: float = 1.0) -> Path:
    """Download a file, or go on with it; a file of that name that is there already is taken as it is.

    The bytes are collected in `destination` + ".part", which gets its final name when it is whole. Which address and
    version they are of is noted in ".part.version": a part of another one, or of one that the server does not tell from
    others, is thrown away. No two processes may fetch to one destination at the same time.

    Args:
        url: http or https address.
        destination: file to make; its folder is made too.
        patience: tries in a row without one new byte after which to give up.
        back_off_s: pause before the second try, doubled before each further one.

    Returns:
        The destination.

    Raises:
        InputError: the server cannot be reached or refuses, or the disk has too little space.
        OSError: the file cannot be written.
    """
    part = destination.with_name(destination.name + ".part")
    note = part.with_name(part.name + ".version")
    failures, furthest = 0, 0
    while not destination.exists():
        try:
            _go_on(url, part, note)
            os.replace(part, destination)
        except requests.RequestException as problem:
            # Only a size never reached before counts as progress: a server that ignores Range and always breaks
            # off at the same place would otherwise be asked for ever.
            failures = 0 if _size(part) > furthest else failures + 1
            furthest = max(furthest, _size(part))
            if failures >= patience or isinstance(problem, ValueError):  # which is of a malformed address
                raise InputError(
                    f"{url} could not be downloaded ({problem}): check address and connection, then run the same "
                    "command again, which goes on where this one stopped"
                ) from problem
            time.sleep(back_off_s * 2**failures)
    note.unlink(missing_ok=True)
    return destination


def _go_on(url: str, part: Path, note: Path) -> None:
    """One request for what `part` lacks; returns when it is whole."""
    part.parent.mkdir(parents=True, exist_ok=True)
    noted_url, _, version = note.read_text(errors="replace").partition("\n") if note.exists() else ("", "", "")
    start = _size(part) if version and noted_url == url else 0
    headers = {"Accept-Encoding": "identity"}  # so that Content-Length and Range count the file's own bytes
    if start:
        headers |= {"Range": f"bytes={start}-", "If-Range": version}
    with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT_S) as response:
        status, content_range = response.status_code, response.headers.get("Content-Range", "")
        if status == 429 or status >= 500:
            raise requests.ConnectionError(f"the server answered {status}")
        goes_on = content_range.startswith(f"bytes {start}-") and _version(response.headers) == version
        if status == 416 or (status == 206 and not goes_on):
            part.unlink()
            raise requests.ConnectionError("the file has changed since its first part was downloaded")
        if status not in (200, 206):
            raise InputError(f"the server answered {status} for {url}: correct the address or give another one")
        if status == 200:  # the whole file, whatever was asked for
            start = 0
            part.unlink(missing_ok=True)  # before its note, so that no part is ever beside the note of another one
            write_text_atomic(note, f"{url}\n{_version(response.headers)}")
        announced = response.headers.get("Content-Length", "")
        total = start + int(announced) if announced.isdigit() else None
        free = shutil.disk_usage(part.parent).free
        if total is not None and free < total - start:
            raise InputError(
                f"{url} needs {(total - start) / 1e9:.1f} GB in {part.parent}, where {free / 1e9:.1f} GB are free: "
                "free some space or use a folder on another disk"
            )
        if whole := re.search(r"/(\d+)$", content_range):  # a range may end before the file does
            total = int(whole[1])
        bar = tqdm(total=total, initial=start, unit="B", unit_scale=True, desc=part.stem)
        with part.open("ab") as file, bar:
            for chunk in response.iter_content(CHUNK_BYTES):
                file.write(chunk)
                bar.update(len(chunk))
    if total is not None and _size(part) != total:
        raise requests.ConnectionError(f"{_size(part):,} of {total:,} bytes came")


def _version(headers: Mapping[str, str]) -> str:
    """What tells this version of a file from others; `If-Range` takes no weak ETag (RFC 9110, section 13.1.5)."""
    etag = headers.get("ETag", "")
    return headers.get("Last-Modified", "") if etag.startswith("W/") else etag or headers.get("Last-Modified", "")


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
