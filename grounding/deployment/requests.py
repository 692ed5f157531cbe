"""What bulk grounding is asked: requests as lines of JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, StringConstraints

from grounding.errors import InputError
from grounding.methods.stream import Request
from grounding.runtime.config_io import from_plain
from grounding.runtime.text_files import decode_text, numbered_lines

Line = tuple[int, str]  # with its number in the file
Words = Annotated[str, StringConstraints(pattern=r"\S")]


@dataclass(frozen=True)
class RequestLine:
    """A line of the requests: an image's path, what to look for in it, and what to call the answer if not the path."""

    image: Words
    phrases: Annotated[list[Words], Field(min_length=1)]
    key: str | None = None


def request_lines(path: Path, content: bytes) -> list[Line]:
    """The lines of a file of requests, without blank ones.

    Raises:
        InputError: it is no UTF-8 text.
    """
    try:
        return list(numbered_lines(decode_text(content)))
    except ValueError as error:
        raise InputError(f"{path} is no UTF-8 text ({error}): save it as UTF-8") from error


def read_requests(path: Path, lines: Iterable[Line], phrases: Sequence[str] = ()) -> Iterator[Request]:
    """What each line of a file of requests asks; images that are no absolute paths lie beside the file.

    ::

        {"image": "photos/street.jpg", "phrases": ["the red car", "a man with a hat"]}
        {"image": "/elsewhere/park.jpg", "phrases": ["the dog"], "key": "park"}

    Args:
        path: of the file.
        lines: of its content.
        phrases: what a line asks that names none.

    Raises:
        InputError: a line is no request.
    """
    for number, line in lines:
        asked = asked_by(line, f"{path}, line {number}", phrases)
        yield Request(asked.image if asked.key is None else asked.key, path.parent / asked.image, asked.phrases)


def asked_by(record: Any, where: str, phrases: Sequence[str] = ()) -> RequestLine:
    """A request from JSON, as text or as the values that it stands for.

    Args:
        record: of the request.
        where: names it in the error.
        phrases: what it asks if it names none.

    Raises:
        InputError: it is none.
    """
    try:
        record = json.loads(record) if isinstance(record, str) else record
        if phrases and isinstance(record, dict) and not record.get("phrases"):
            record = {**record, "phrases": list(phrases)}
        return from_plain(record, RequestLine, extra="ignore")
    except (ValueError, RecursionError) as error:
        example = '{"image": "a.jpg", "phrases": ["the dog"]}'
        raise InputError(f"{where}, cannot be used ({error}): write {example}") from error
