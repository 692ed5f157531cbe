"""Archives from the internet: downloaded in as many goes as it takes, and unpacked into one folder and nowhere else."""

from __future__ import annotations

import errno
import os
import tarfile
import time
import zipfile
import zlib
from collections.abc import Container, Iterable, Iterator
from email.utils import formatdate
from pathlib import Path, PureWindowsPath
from typing import Any
from urllib.parse import urlsplit

import requests  # pooch and torch.hub start a broken download again from nothing: too costly for 13.5 GB
from tqdm import tqdm

from grounding.errors import InputError

CHUNK_BYTES = 64 * 1024
TIMEOUT_S = 30
TRIES = 5  # in a row without one new byte
BACK_OFF_S = 1.0  # before the second of them, doubled before each further one
# Annotations are packed to a tenth, photographs hardly; what is made to fill a disk, to a thousandth and less.
MOST_TIMES = 100
ALWAYS_TAKEN = 2**26  # bytes, whatever the archive's size

OF_THE_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EACCES, errno.EPERM}


def fetch(url: str, folder: Path) -> Path:
    """Download a file over HTTP, or go on with it, and return its place; one of its name that is there is taken as is.

    The bytes are collected in a file ending in ".part", which gets its final name when it is whole. No two processes
    may fetch into one folder at the same time.

    Raises:
        InputError: the server cannot be reached or refuses.
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
            if failures >= TRIES or refused or isinstance(problem, ValueError):  # which is of a malformed address
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


def unpack(archive: Path, folder: Path, only: Container[str] | None = None) -> None:
    """Unpack the plain files of a zip or a tar archive, compressed or not, whatever its name ends with.

    The folder must not exist, so that nothing in it can lead elsewhere; where it raises, files may have been written
    in it and nowhere else. Links and devices are left out, and all but the files called as in `only`, where given.

    Raises:
        InputError: the archive is damaged, or not a zip or tar archive; a file has an absolute path or "..", or it
            would unpack to more than `MOST_TIMES` its size and `ALWAYS_TAKEN`.
        OSError: a file cannot be read or written.
    """
    folder.mkdir(parents=True)
    room = max(MOST_TIMES * archive.stat().st_size, ALWAYS_TAKEN)

    def chosen(files: Iterable[tuple[str, int, Any]]) -> Iterator[Any]:
        """The members to unpack, of (name, bytes, member), each checked just before it is unpacked."""
        nonlocal room
        for name, size, member in tqdm(files, f"unpacking {archive.name}", delay=1):
            place = PureWindowsPath(name)  # the strictest reading: both slashes separate, and drives count
            if place.anchor or ".." in place.parts:
                raise ValueError(f"{name!r} would lie outside its folder")
            if only is None or place.name in only:
                room -= size
                if room < 0:
                    raise ValueError(f"it unpacks to more than {MOST_TIMES} times its own size")
                yield member

    try:
        if not tarfile.is_tarfile(archive):
            with zipfile.ZipFile(archive) as zipped:  # which reads no more of a member than the size given for it
                infos = (info for info in zipped.infolist() if not info.is_dir())
                zipped.extractall(folder, chosen((info.filename, info.file_size, info) for info in infos))
            return
        with tarfile.open(archive) as tar:
            tar.extraction_filter = getattr(tarfile, "data_filter", None)
            tar.extractall(folder, chosen((member.name, member.size, member) for member in tar if member.isreg()))
            # tarfile stops at its own end mark; the checksum of gzip and xz comes after it and is compared there.
            while tar.fileobj is not None and tar.fileobj.read(CHUNK_BYTES):
                pass
    except Exception as problem:  # damaged data may raise any, of zipfile, tarfile and the decompressors
        if isinstance(problem, OSError) and problem.errno in OF_THE_DISK:
            raise
        raise InputError(
            f"{archive} cannot be unpacked ({problem}): it is damaged, no zip or tar archive, or made to do harm; "
            "delete it and run the same command again, or get it elsewhere"
        ) from problem
