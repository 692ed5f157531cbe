"""A file of requests, one JSON object a line, of any length: checked once, then read as a stream."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from tqdm import tqdm

from grounding.errors import InputError, is_writable
from grounding.methods.stream import Request


@dataclass(frozen=True)
class RequestsFile:
    """Requests on disk, of which none is held in memory.

    Attributes:
        path: of the file; images that are no absolute paths are looked for beside it.
        sha256: of its content, in hexadecimal.
        count: of requests.
        stamp: time of its last change in nanoseconds, and its size in bytes.
    """

    path: Path
    sha256: str
    count: int
    stamp: tuple[int, int]

    def read(self, start: int = 0) -> Iterator[Request]:
        """The requests from number `start` on, in their order.

        Raises:
            InputError: a line is no request any more.
        """
        with self.path.open("rb") as file:
            for number, line in enumerate(islice(file, start, None), start=start + 1):
                yield _request(line, self.path, number)

    def refuse_change(self) -> None:
        """Does nothing, unless the file is another one than was checked.

        Raises:
            InputError: it is; what was read since then is not to be used.
        """
        if _stamp(self.path) != self.stamp:
            raise InputError(f"{self.path} was changed after it was checked: run the command again")


def open_requests(path: Path) -> RequestsFile:
    """Check every line of a file, so that hours of work do not end on a typing error.

    ::

        {"image": "photos/street.jpg", "phrases": ["the red car", "a man with a hat"]}
        {"image": "/elsewhere/park.jpg", "phrases": ["the dog"], "key": "park"}

    Args:
        path: the file; `key`, the name of the answer, is the image's path as written where it is not given.

    Raises:
        InputError: the file cannot be read or has no line, or a line is no request.
    """
    if not path.is_file():
        raise InputError(f"there is no file of requests {path}: write one, with a JSON object a line")
    digest, count, stamp = hashlib.sha256(), 0, _stamp(path)
    with path.open("rb") as file, tqdm(total=stamp[1], desc=f"checking {path.name}", unit="B", unit_scale=True,
                                       leave=False) as bar:  # fmt: skip
        for line in file:
            count += 1
            _request(line, path, count)
            digest.update(line)
            bar.update(len(line))
    if not count:
        raise InputError(f"{path} is empty: write a JSON object with image and phrases on each line")
    return RequestsFile(path, digest.hexdigest(), count, stamp)


def _stamp(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_mtime_ns, status.st_size


def _request(line: bytes, path: Path, number: int) -> Request:
    try:
        return _checked(line, path.parent)
    except ValueError as error:
        raise InputError(f"{path}, line {number}, {error}") from error


def _checked(line: bytes, folder: Path) -> Request:
    try:
        record: Any = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ValueError('is not JSON: write an object such as {"image": "a.jpg", "phrases": ["the dog"]}') from error
    if not isinstance(record, dict):
        raise ValueError('is no object: write {"image": "a.jpg", "phrases": ["the dog"]}')
    image, phrases = record.get("image"), record.get("phrases")
    if not isinstance(image, str) or not image:
        raise ValueError(f"field image is {_shown(image)}: give the path of an image file")
    if not isinstance(phrases, list) or not phrases:
        raise ValueError(f"field phrases is {_shown(phrases)}: give a list of one or more phrases")
    for phrase in phrases:
        if not isinstance(phrase, str) or not phrase.strip():
            raise ValueError(f"field phrases holds {_shown(phrase)}: give phrases of one or more words")
        if not is_writable(phrase):
            raise ValueError(f"field phrases holds half a character in {_shown(phrase)}: give whole Unicode text")
    key = record.get("key", image)
    if not isinstance(key, str):
        raise ValueError(f"field key is {_shown(key)}: give a string, or leave it out")
    return Request(key, folder / image, phrases)


def _shown(value: Any) -> str:
    text = json.dumps(value)
    return "missing" if value is None else text if len(text) <= 60 else text[:60] + "..."
