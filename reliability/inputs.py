"""Inputs of a stranger: files that were right, spoilt byte by byte or value by value."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

MOST_EDITS = 8
INTERESTING = (
    b"\x00",
    b"\xff" * 4,
    b"\x7f\xff\xff\xff",
    b"\xff\xff\xff\x7f",
    b"\x80" * 8,
    b"\n",
    b'"',
    b"[",
    b"{",
    b"&",
    b"*",
)
# What no field expects, besides whatever hypothesis thinks of.
ODD: tuple[Any, ...] = (
    *(None, True, -1, 0, 2**31, 2**63, 2**64, 10**400, 0.5, 1e308, math.inf, -math.inf, math.nan),
    *("", " ", "\x00", "\ud800", "$x$", "../../etc/passwd", "/etc/passwd", "C:\\x", "x" * 5000),
    *([], {}, [[]], {"class_path": "os.system"}),
)


def spoilt(seeds: Sequence[bytes]) -> SearchStrategy[bytes]:
    """Seeds with bytes flipped, replaced, taken out, doubled, or cut off; sometimes the head of one and the tail of
    another."""
    edit = st.tuples(
        st.sampled_from(("flip", "put", "take", "double", "cut")), st.floats(0, 1), st.integers(0, 255),
        st.sampled_from(INTERESTING),
    )  # fmt: skip
    spliced = st.builds(
        lambda one, other, at, there: one[: int(at * len(one))] + other[int(there * len(other)) :],
        st.sampled_from(seeds), st.sampled_from(seeds), st.floats(0, 1), st.floats(0, 1),
    )  # fmt: skip
    whole = st.one_of(st.sampled_from(seeds), spliced)
    return st.builds(_edited, whole, st.lists(edit, min_size=1, max_size=MOST_EDITS))


def _edited(data: bytes, edits: list[tuple[str, float, int, bytes]]) -> bytes:
    content = bytearray(data)
    for kind, where, number, piece in edits:
        at = int(where * len(content))
        if kind == "flip" and at < len(content):
            content[at] ^= 1 << number % 8
        elif kind == "put":
            content[at : at + len(piece)] = piece
        elif kind == "take":
            del content[at : at + number]
        elif kind == "double":
            content[at:at] = content[at : at + number]
        elif kind == "cut":
            del content[at:]
    return bytes(content)


def misplaced(values: Sequence[Any], write: Callable[[Any], bytes]) -> SearchStrategy[bytes]:
    """Nested records in which one to three values are replaced by others, or taken out, and which are then written."""
    scalars = st.one_of(st.sampled_from(ODD), st.integers(), st.floats(), st.text(max_size=20))
    other = st.recursive(
        scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    )
    change = st.tuples(st.lists(st.floats(0, 0.999), min_size=1, max_size=6), st.booleans(), other)
    changed = st.builds(_changed, st.sampled_from(values), st.lists(change, min_size=1, max_size=3))
    return changed.map(write)


def _changed(value: Any, changes: list[tuple[list[float], bool, Any]]) -> Any:
    value = copy.deepcopy(value)
    for steps, taken_out, other in changes:
        place = value
        for depth, step in enumerate(steps):
            keys = list(place) if isinstance(place, dict) else list(range(len(place)))
            if not keys:
                break
            key = keys[int(step * len(keys))]
            if depth == len(steps) - 1 or not isinstance(place[key], dict | list):
                if taken_out:
                    del place[key]
                else:
                    place[key] = copy.deepcopy(other)
                break
            place = place[key]
    return value
