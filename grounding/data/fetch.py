"""One file over HTTP: a download that was killed or broke off goes on where it stopped."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import time
from pathlib import Path

# requests is installed with gdown, streams, follows redirects and heeds proxy settings. The ready-made downloaders
# (pooch, torch.hub.download_url_to_file) start a broken download again from nothing: too costly for 13.5 GB.
import requests
from tqdm import tqdm

from grounding.errors import InputError

CHUNK_BYTES = 64 * 1024
TIMEOUT_S = 30


class _Interrupted(Exception):
    """The transfer ended early, in a way that another try may mend."""


_WORTH_RETRYING = (
    _Interrupted,
    requests.ConnectionError,
    requests.Timeout,
    requests.exceptions.ChunkedEncodingError,
)


def fetch(
    url: str,
    destination: Path,
    *,
    sha256: str | None = None,
    reserve_bytes: int = 0,
    patience: int = 5,
    back_off_s: float = 1.0,
) -> Path:
    """Download a file, or go on with it; a file of that name that is there already is taken as it is.

    The bytes are collected in `destination` + ".part", which gets its final name only when it is whole. No two
    processes may fetch to one destination at the same time.

    Args:
        url: http or https address.
        destination: file to make; its folder is made too.
        sha256: hexadecimal checksum that the file must have; None for no check.
        reserve_bytes: disk space needed beside the file itself.
        patience: tries in a row without one new byte after which to give up.
        back_off_s: pause before the second try, doubled before each further one.

    Returns:
        The destination.

    Raises:
        InputError: the server cannot be reached or refuses, the disk has too little space, or the checksum
            differs (the file is then removed).
        OSError: the file cannot be written.
    """
    if destination.exists():
        _check_sha256(destination, sha256)
        _check_space(destination.parent, reserve_bytes, url)
        return destination
    destination.parent.mkdir(parents=True, exist_ok=True)
    part = destination.with_name(destination.name + ".part")
    _collect(url, part, reserve_bytes, patience, back_off_s)
    _check_sha256(part, sha256)
    os.replace(part, destination)
    return destination


def _collect(url: str, part: Path, reserve_bytes: int, patience: int, back_off_s: float) -> None:
    failures, best_size = 0, _size(part)
    while True:
        try:
            _go_on(url, part, reserve_bytes)
            return
        except _WORTH_RETRYING as problem:
            # Only a size never reached before counts as progress: a server that ignores Range and always breaks
            # off at the same place would otherwise be asked for ever.
            failures = 0 if _size(part) > best_size else failures + 1
            best_size = max(best_size, _size(part))
            if failures >= patience:
                raise InputError(
                    f"{url} could not be downloaded ({problem}): check the connection and run the same command "
                    "again, which goes on where this one stopped"
                ) from problem
            time.sleep(back_off_s * 2**failures)
        except requests.RequestException as problem:
            raise InputError(f"{url} could not be downloaded ({problem}): correct the address") from problem


def _go_on(url: str, part: Path, reserve_bytes: int) -> None:
    """One request for what `part` lacks; returns when it is whole."""
    start = _size(part)
    headers = {"Accept-Encoding": "identity"}  # so that Content-Length and Range count the file's own bytes
    if start:
        headers["Range"] = f"bytes={start}-"
    with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT_S) as response:
        status, content_range = response.status_code, response.headers.get("Content-Range", "")
        if status == 416:
            # Nothing comes after `start`: a process killed just before the renaming left a whole part. Any other
            # part is longer than the file, so not a beginning of it.
            if content_range == f"bytes */{start}":
                return
            part.unlink(missing_ok=True)
            raise _Interrupted("the part downloaded earlier does not belong to this file")
        if status == 429 or status >= 500:
            raise _Interrupted(f"the server answered {status}")
        if status not in (200, 206):
            raise InputError(f"the server answered {status} for {url}: correct the address or give another one")
        if status == 200:  # the whole file, whatever was asked for
            start = 0
        elif not re.match(rf"bytes {start}-", content_range):
            part.unlink(missing_ok=True)
            raise _Interrupted("the server sent another range than was asked for")
        announced = response.headers.get("Content-Length", "")
        remaining = int(announced) if announced.isdigit() else None
        _check_space(part.parent, (remaining or 0) + reserve_bytes, url)
        whole = re.search(r"/(\d+)$", content_range)  # a range may end before the file does
        total = int(whole[1]) if whole else None if remaining is None else start + remaining
        bar = tqdm(total=total, initial=start, unit="B", unit_scale=True, desc=part.stem)
        with part.open("ab" if start else "wb") as file, bar:
            for chunk in response.iter_content(CHUNK_BYTES):
                file.write(chunk)
                bar.update(len(chunk))
    if total is not None and _size(part) != total:
        raise _Interrupted(f"{_size(part):,} of {total:,} bytes came")


def _check_space(folder: Path, needed: int, url: str) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise InputError(
            f"{url} needs {needed / 1e9:.1f} GB in {folder}, where {free / 1e9:.1f} GB are free: "
            "free some space or use a folder on another disk"
        )


def _check_sha256(path: Path, sha256: str | None) -> None:
    if sha256 is None:
        return
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
    if digest.hexdigest() != sha256.lower():
        path.unlink()
        raise InputError(
            f"{path.name} has the SHA-256 checksum {digest.hexdigest()} instead of {sha256} and was removed: "
            "run the same command again, or download from another address"
        )


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
