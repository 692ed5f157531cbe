"""Phrases of a data set that CLIP cannot read, and which sentence is to be mended."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from grounding.clip.text import tokenize
from grounding.errors import InputError
from grounding.types import Expression, SetExpression


def fault_of(phrase: str) -> str:
    """Why CLIP cannot read a phrase, a sentence; "" where it can."""
    try:
        tokenize([phrase])
    except InputError as error:
        return str(error)
    return ""


@contextmanager
def naming_sentences(expressions: Iterable[Expression | SetExpression]) -> Iterator[None]:
    """What the block raises of one of these phrases names its image_id and sent_id.

    Raises:
        InputError: as the block.
    """
    try:
        yield
    except InputError as error:
        for each in expressions:
            if fault := fault_of(each.phrase):
                raise InputError(f"image_id {each.image_id}, sent_id {each.sent_id}: {fault}") from error
        raise
