"""SIGTERM and Ctrl-C: the work at hand is brought to an end at which it can be gone on with."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from grounding.runtime.launch import launched_as

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stopped(Exception):
    """The program was asked to stop, and has left everything as it must be to go on; `message` says how."""

    def __init__(self, signal_number: int, message: str) -> None:
        super().__init__(message)
        self.signal_number = signal_number


class StopRequest:
    """Whether a signal has asked this process to stop; a context, outside of which signals do what they always do.

    The first signal is noted. Of a process that works alone the second one ends it at once; a launcher of several sends
    its own beside the one that a terminal sends to all, and that must not disturb them.
    """

    def __init__(self) -> None:
        self.received = 0  # the number of the signal that came; 0 while none has
        self._message: str | None = None
        self._before: dict[int, object] = {}

    def __enter__(self) -> StopRequest:
        with suppress(ValueError):  # of another thread than the main one, which alone may say what a signal does
            # What was ignored from the start stays so: Ctrl-C is not meant for work that a shell put in the background.
            noted = [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
            self._before = {number: signal.signal(number, self._note) for number in noted}
        return self

    def __exit__(self, *_: object) -> None:
        self._restore()

    @contextmanager
    def at_once(self, message: str) -> Iterator[None]:
        """A block in which nothing can be spoiled: a signal, in it or before it, ends it by `Stopped(message)`."""
        self._message = message
        try:
            if self.received:
                raise Stopped(self.received, message)
            yield
        finally:
            self._message = None

    def _note(self, number: int, _: FrameType | None) -> None:
        self.received = number
        if launched_as()[1] == 1:
            self._restore()
        if self._message is not None:
            raise Stopped(number, self._message)

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
        self._before = {}


def leave_signals_to_the_parent(_: int) -> None:
    """For a process that reads data: Ctrl-C reaches it too, and its parent still needs what it reads."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
