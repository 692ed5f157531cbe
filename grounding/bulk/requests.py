"""A file of requests, one JSON object a line, of any length: checked once, then read block by block."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from tqdm import tqdm

from grounding.bulk.stream import Request
from grounding.errors import InputError
from grounding.plain_text import is_writable


@dataclass(frozen=True)
class RequestsFile:
    """Requests on disk; of the file only where each block begins, and its digest, is held in memory.

    Attributes:
        path: of the file; images that are no absolute paths are looked for beside it.
        sha256: of its content, in hexadecimal.
        count: of requests.
        block: of them in a block; the last block may have fewer.
        starts: the byte at which each block begins.
        digests: SHA-256 of each block.
    """

    path: Path
    sha256: str
    count: int
    block: int
    starts: tuple[int, ...]
    digests: tuple[bytes, ...]

    def of_block(self, block: int) -> Iterator[Request]:
        """A block's requests, in their order.

        Raises:
            InputError: they are not what was checked.
        """
        with self.path.open("rb") as file:
            file.seek(self.starts[block])
            lines = list(islice(file, self.block))
        if hashlib.sha256(b"".join(lines)).digest() != self.digests[block]:
            raise InputError("from here on the file was changed after it was checked: run the command again")
        for line in lines:
            yield _request(line, self.path.parent)


def open_requests(path: Path, *, block: int, hide_progress: bool = False) -> RequestsFile:
    """Check every line of a file, so that hours of work do not end on a typing error.

    ::

        {"image": "photos/street.jpg", "phrases": ["the red car", "a man with a hat"]}
        {"image": "/elsewhere/park.jpg", "phrases": ["the dog"], "key": "park"}

    Args:
        path: the file; `key`, the name of the answer, is the image's path as written where it is not given.
        block: requests in a block.
        hide_progress: whether there is no progress bar.

    Raises:
        InputError: the file cannot be read or has no line, or a line is no request.
    """
    if not path.is_file():
        raise InputError(f"there is no file of requests {path}: write one, with a JSON object a line")
    whole, count, position = hashlib.sha256(), 0, 0
    starts, digests = [], []
    with path.open("rb") as file, tqdm(total=path.stat().st_size, desc=f"checking {path.name}", unit="B",
                                       unit_scale=True, leave=False, disable=hide_progress) as bar:  # fmt: skip
        for line in file:
            if count % block == 0:
                starts.append(position)
                digests.append(hashlib.sha256())
            try:
                _request(line, path.parent)
            except ValueError as error:
                raise InputError(f"{path}, line {count + 1}, {error}") from error
            whole.update(line)
            digests[-1].update(line)
            count += 1
            position += len(line)
            bar.update(len(line))
    if not count:
        raise InputError(f"{path} is empty: write a JSON object with image and phrases on each line")
    return RequestsFile(path, whole.hexdigest(), count, block, tuple(starts), tuple(each.digest() for each in digests))


def _request(line: bytes, folder: Path) -> Request:
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
