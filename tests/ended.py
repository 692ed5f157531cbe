"""A failure in the main process of two, after which the other one must not wait for it."""

from __future__ import annotations

import errno
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from grounding import InputError
from grounding.runtime.distributed import is_main

SECONDS = 60  # far more than it takes


def no_space(*_: object, **__: object) -> None:
    """In the place of what writes."""
    raise OSError(errno.ENOSPC, "No space left on device")


@contextmanager
def ending_both(sign: Path) -> Iterator[None]:
    """A block that fails in the main process: the other one hears of it, while the main one has not ended.

    Args:
        sign: a file that the other process makes when it has left the block.
    """
    said = "No space left"
    if is_main():
        with pytest.raises(OSError, match=said):
            yield
        until = time.monotonic() + SECONDS
        while not sign.exists():
            assert time.monotonic() < until, f"the other process still waits ({sign.name})"
            time.sleep(0.05)
    else:
        with pytest.raises(InputError, match=said) as heard:
            yield
        assert "\n" not in str(heard.value)
        sign.parent.mkdir(parents=True, exist_ok=True)
        sign.touch()
