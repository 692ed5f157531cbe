"""Text that other programs have written, read in one way, whatever its mark, its line ends and its blank lines."""

from __future__ import annotations

import re
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterator
from pathlib import Path


def decode_text(content: bytes) -> str:
    """Text in UTF-8, with a mark at its start or none, or in UTF-16 with one, as programs of Windows write it.

    Returns:
        It without the mark; every line ends in "\\n", where it ended in any way.

    Raises:
        ValueError: it is in another encoding.
    """
    encoding = "utf-16" if content.startswith((BOM_UTF16_LE, BOM_UTF16_BE)) else "utf-8-sig"
    return re.sub("\r\n?", "\n", content.decode(encoding))


def read_text(path: Path) -> str:
    """A file's text, as `decode_text` gives it.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is in another encoding than UTF-8 and UTF-16.
    """
    return decode_text(path.read_bytes())


def numbered_lines(text: str) -> Iterator[tuple[int, str]]:
    """The lines that are not blank, each with its number from 1 in the whole text."""
    # Not `splitlines`: it ends a line at characters that JSON lets stand in a text.
    return ((number, line) for number, line in enumerate(text.split("\n"), start=1) if line.strip())
