"""Text of strangers: whether it can be written."""

from __future__ import annotations


def is_writable(text: str) -> bool:
    """False of a text with a lone half of a character that UTF-16 writes in two: no file and no picture can hold it."""
    return not any("\ud800" <= letter <= "\udfff" for letter in text)
