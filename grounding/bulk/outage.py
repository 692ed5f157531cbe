"""Many requests in a row that cannot be answered are taken for a disk that is gone: none of them counts as answered."""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import groupby

from grounding.blocks import Blocks
from grounding.errors import InputError


class ErrorsInARow:
    """Counts them, over blocks in any order.

    Args:
        blocks: of which those with such errors are removed, to be answered again.
        most: so many in a row are too many.
    """

    def __init__(self, blocks: Blocks, most: int) -> None:
        self._blocks = blocks
        self._most = most
        self._count = 0
        self._over: set[int] = set()  # blocks that the present row is in

    def add(self, error: str, block: int) -> None:
        """One more answer, in a block that may be on the disk or not yet; `error` is "" for a good one.

        Raises:
            InputError: there are too many; their blocks are removed.
        """
        if not error:
            self._count = 0
            self._over.clear()
            return
        self._count += 1
        self._over.add(block)
        if self._count == self._most:
            self._blocks.remove(self._over)
            raise InputError(_sentence(self._count, error))


def refuse_outage(blocks: Blocks, most: int) -> None:
    """Look through all blocks, whoever has made them.

    Raises:
        InputError: so many errors or more are in a row; the blocks that such rows are in are removed.
    """
    answers = (
        (error, block)
        for block in range(len(blocks))
        for error in errors_of(blocks.path(block).read_text(encoding="utf-8").splitlines())
    )
    outage = None
    for is_broken, row in groupby(answers, key=lambda answer: bool(answer[0])):
        broken = list(row) if is_broken else []
        if len(broken) >= most:
            blocks.remove({block for _, block in broken})
            outage = InputError(_sentence(len(broken), broken[-1][0]))
    if outage:
        raise outage


def _sentence(count: int, last: str) -> str:
    return (f"{count} requests in a row could not be answered, of the last one: {last} (if their disk was gone, run "
            "the same command again; else give a larger --most_broken)")  # fmt: skip


def errors_of(lines: Iterable[str]) -> Iterable[str]:
    """Of each answer its error, "" where there is none."""
    return (json.loads(line).get("error", "") if '"error"' in line else "" for line in lines)
