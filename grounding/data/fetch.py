"""One file over HTTP: a download that was killed or broke off goes on where it stopped."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

# requests is installed with gdown, streams, follows redirects and heeds proxy settings. The ready-made downloaders
# (pooch, torch.hub.download_url_to_file) start a broken download again from nothing: too costly for 13.5 GB.
import requests
from tqdm import tqdm

from grounding.errors import InputError
from grounding.whole_file import write_whole

CHUNK_BYTES = 64 * 1024
TIMEOUT_S = 30


class _Interrupted(Exception):
    """The transfer ended early, in a way that another try may mend."""


@dataclass(frozen=True)
class _Source:
    """What the bytes of a part are of, noted beside it, since a file may change, and others have the same name.

    Attributes:
        url: the address that was given.
        etag, modified: the server's `ETag` and `Last-Modified`, "" where it gives none.
    """

    url: str
    etag: str = ""
    modified: str = ""

    @classmethod
    def answered(cls, url: str, headers: Mapping[str, str]) -> _Source:
        return cls(url, headers.get("ETag", ""), headers.get("Last-Modified", ""))

    @property
    def condition(self) -> str:
        """For `If-Range`, which takes no weak ETag (RFC 9110, section 13.1.5)."""
        return self.modified if self.etag.startswith("W/") else self.etag or self.modified

    def may_be(self, other: _Source) -> bool:
        """Whether nothing that both of them say tells them apart."""
        if self.etag and other.etag:
            return self.url == other.url and self.etag == other.etag
        return self.url == other.url and (not self.modified or not other.modified or self.modified == other.modified)


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

    The bytes are collected in `destination` + ".part", which gets its final name only when it is whole. What they are
    of is noted beside it, in `destination` + ".part.json": of another address or another version of the file, or
    without that note, a part is thrown away. No two processes may fetch to one destination at the same time.

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
    part = destination.with_name(destination.name + ".part")
    if destination.exists():
        _note_of(part).unlink(missing_ok=True)  # of a process that was killed just after the renaming
        _check_sha256(destination, sha256)
        _check_space(destination.parent, reserve_bytes, url)
        return destination
    destination.parent.mkdir(parents=True, exist_ok=True)
    _collect(url, part, reserve_bytes, patience, back_off_s)
    try:
        _check_sha256(part, sha256)
    except InputError:
        _throw_away(part)
        raise
    os.replace(part, destination)
    _note_of(part).unlink(missing_ok=True)
    return destination


def _collect(url: str, part: Path, reserve_bytes: int, patience: int, back_off_s: float) -> None:
    noted = _noted(part)
    if noted is None or noted.url != url:
        _throw_away(part)
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
    start, noted = _size(part), _noted(part) or _Source(url)
    with requests.get(url, headers=_asked(start, noted), stream=True, timeout=TIMEOUT_S) as response:
        status, content_range = response.status_code, response.headers.get("Content-Range", "")
        source = _Source.answered(url, response.headers)
        if status in (206, 416) and not noted.may_be(source):  # the server does not heed If-Range
            _throw_away(part)
            raise _Interrupted("the file has changed since its first part was downloaded")
        if status == 416:
            # Nothing comes after `start`: a process killed just before the renaming left a whole part. Any other
            # part is longer than the file, so not a beginning of it.
            if content_range == f"bytes */{start}":
                return
            _throw_away(part)
            raise _Interrupted("the part downloaded earlier does not belong to this file")
        if status == 429 or status >= 500:
            raise _Interrupted(f"the server answered {status}")
        if status not in (200, 206):
            raise InputError(f"the server answered {status} for {url}: correct the address or give another one")
        if status == 200:  # the whole file, whatever was asked for
            start = 0
        elif not re.match(rf"bytes {start}-", content_range):
            _throw_away(part)
            raise _Interrupted("the server sent another range than was asked for")
        announced = response.headers.get("Content-Length", "")
        remaining = int(announced) if announced.isdigit() else None
        _check_space(part.parent, (remaining or 0) + reserve_bytes, url)
        whole = re.search(r"/(\d+)$", content_range)  # a range may end before the file does
        total = int(whole[1]) if whole else None if remaining is None else start + remaining
        if not start:
            _throw_away(part)
            write_whole(_note_of(part), json.dumps(asdict(source)))
        bar = tqdm(total=total, initial=start, unit="B", unit_scale=True, desc=part.stem)
        with part.open("ab" if start else "wb") as file, bar:
            for chunk in response.iter_content(CHUNK_BYTES):
                file.write(chunk)
                bar.update(len(chunk))
    if total is not None and _size(part) != total:
        raise _Interrupted(f"{_size(part):,} of {total:,} bytes came")


def _asked(start: int, noted: _Source) -> dict[str, str]:
    """The request's headers: for what comes from byte `start` on, or for the whole file where it is another by now."""
    headers = {"Accept-Encoding": "identity"}  # so that Content-Length and Range count the file's own bytes
    if start:
        headers["Range"] = f"bytes={start}-"
        if noted.condition:
            headers["If-Range"] = noted.condition
    return headers


def _note_of(part: Path) -> Path:
    return part.with_name(part.name + ".json")


def _noted(part: Path) -> _Source | None:
    """What the part is noted to be of; None where there is no such note."""
    try:
        note = _Source(**json.loads(_note_of(part).read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError, TypeError):
        return None
    return note if all(isinstance(value, str) for value in asdict(note).values()) else None


def _throw_away(part: Path) -> None:
    """Removes the part before its note, so that no part is ever beside the note of another one."""
    part.unlink(missing_ok=True)
    _note_of(part).unlink(missing_ok=True)


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
