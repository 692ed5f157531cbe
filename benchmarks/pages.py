"""What a command writes into a page that people write: the part between two marks."""

from __future__ import annotations

from pathlib import Path

from grounding.runtime.errors import InputError
from grounding.runtime.files import write_text_atomic


def between(page: Path, begin: str, end: str, text: str) -> str:
    """A page's text with something else between its two marks, each of which is a line of its own.

    Raises:
        InputError: there is no such page, or it lacks a mark.
    """
    before, found, rest = page.read_text(encoding="utf-8").partition(begin) if page.is_file() else ("", "", "")
    _, found_too, after = rest.partition(end)
    if not (found and found_too):
        raise InputError(f"{page} lacks the lines {begin!r} and {end!r}, between which this goes: put them there")
    return f"{before}{begin}\n{text}\n{end}{after}"


def write_between(page: Path, begin: str, end: str, text: str) -> None:
    """`between`, written into the page."""
    write_text_atomic(page, between(page, begin, end, text))
