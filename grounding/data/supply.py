"""Whether data keep up with the model: how long a loop waits for its batches."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import Generic, TypeVar

from grounding.processes import failing_together

Batch = TypeVar("Batch")
OFTEN = 0.1  # share of the time from which waiting is worth a remedy


class Supply(Generic[Batch]):
    """Batches one after the other, timed; a batch that one process cannot read ends all processes.

    Args:
        batches: to go through once.

    Attributes:
        waited: seconds in which the loop had no batch, because this process or another was still reading its own.
        lasted: seconds from the first request until the loop was done with the last batch.
    """

    def __init__(self, batches: Iterable[Batch]) -> None:
        self._batches = batches
        self.waited = self.lasted = 0.0

    def __iter__(self) -> Iterator[Batch]:
        """The batches.

        Raises:
            InputError: an image cannot be read.
        """
        began = asked = time.perf_counter()
        remaining = iter(self._batches)
        while True:
            with failing_together():
                batch = next(remaining, None)
            if batch is None:
                return
            self.waited += time.perf_counter() - asked
            yield batch
            asked = time.perf_counter()
            self.lasted = asked - began

    @property
    def share_waited(self) -> float:
        """Of the time; 0 where there was no batch."""
        return self.waited / self.lasted if self.lasted else 0.0

    def in_words(self, workers: int) -> str:
        """The share as a sentence, with a remedy where it is large.

        Args:
            workers: processes that read images beside the loop's own.
        """
        told = f"waiting for data: {self.share_waited:.0%} of the time"
        if self.share_waited <= OFTEN:
            return told
        remedy = f"--workers {2 * workers}" if workers else "--workers 4"
        return f"{told} ({remedy} reads more images at once)"
