"""How long a loop waits for its batches, by a clock that the test turns."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from grounding import InputError
from grounding.data import supply
from grounding.data.supply import Supply


class Clock:
    """Stands still but for what is added."""

    now = 100.0

    def perf_counter(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(supply, "time", clock)
    return clock


def read(clock: Clock, seconds: float) -> Iterator[int]:
    for number in range(4):
        clock.now += seconds
        yield number


@pytest.mark.parametrize(
    ("reading", "learning", "workers", "told"),
    [
        (3, 1, 0, "waiting for data: 75% of the time (--workers 4 reads more images at once)"),
        (3, 1, 4, "waiting for data: 75% of the time (--workers 8 reads more images at once)"),
        (1, 99, 0, "waiting for data: 1% of the time"),
    ],
)
def test_waiting_is_told_with_its_remedy(clock, reading, learning, workers, told):
    batches = Supply(read(clock, reading))
    seen = []
    for batch in batches:
        clock.now += learning
        seen.append(batch)
    assert seen == [0, 1, 2, 3]
    assert (batches.waited, batches.lasted) == (4 * reading, 4 * (reading + learning))
    assert batches.in_words(workers) == told


def test_without_batches_nothing_was_waited_for(clock):
    nothing = Supply([])
    assert list(nothing) == []
    assert nothing.in_words(0) == "waiting for data: 0% of the time"


def test_a_batch_that_cannot_be_read_ends_the_loop():
    def broken() -> Iterator[int]:
        yield 1
        raise InputError("a.jpg cannot be read")

    seen = []
    with pytest.raises(InputError, match=r"a\.jpg cannot be read"):
        seen.extend(Supply(broken()))
    assert seen == [1]
