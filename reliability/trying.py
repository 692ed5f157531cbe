"""One input given to one reader: whether it ended as it must."""

from __future__ import annotations

import time
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from benchmarks.measuring import peak_memory
from grounding.runtime.errors import InputError, visible

READ, REFUSED, WARNED = "read", "refused in words", "read with a warning"
MOST_SECONDS = 5.0  # of CPU, for one input
MOST_BYTES = 512 * 2**20  # by which one input may raise the process's peak memory
MOST_LETTERS = 1100  # of a sentence


@dataclass
class Trial:
    """A reader, and how its inputs ended.

    Attributes:
        name: of the reader.
        read: raises `InputError` or returns.
        folder: of the files that it reads, which every sentence has to name.
        wrong: sentences that say what went wrong, by the SHA-256 of the input.
        counts: of inputs by their end.
    """

    name: str
    read: Callable[[bytes], None]
    folder: Path
    counts: Counter[str] = field(default_factory=Counter)
    wrong: dict[str, str] = field(default_factory=dict)

    def give(self, data: bytes, *, keep_in: Path | None = None) -> str:
        """Read one input.

        Args:
            data: of the file.
            keep_in: folder for inputs that end wrongly; none is kept where it is not given.

        Returns:
            What was wrong, "" where nothing was.
        """
        before, started = peak_memory(), time.process_time()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", append=True)  # what the project silences on purpose stays silent
            try:
                self.read(data)
                end, fault = READ, ""
            except InputError as error:
                end, fault = REFUSED, self._unclear(str(error))
            except Exception as error:
                end, fault = "wrong", f"{type(error).__name__}: {error}"
        for warning in caught:
            end = WARNED if end == READ else end
            fault = fault or self._unclear(str(warning.message))
        seconds, grown = time.process_time() - started, peak_memory() - before
        if seconds > MOST_SECONDS:
            fault = fault or f"it took {seconds:.0f} seconds"
        if grown > MOST_BYTES:
            fault = fault or f"it took {grown / 2**20:.0f} MB"
        self.counts["wrong" if fault else end] += 1
        if fault:
            digest = sha256(data).hexdigest()
            self.wrong[digest] = fault
            if keep_in is not None:
                keep_in.mkdir(parents=True, exist_ok=True)
                (keep_in / f"{self.name.replace(' ', '_')}_{digest[:12]}").write_bytes(data)
        return fault

    def _unclear(self, sentence: str) -> str:
        """Why a sentence is none that a user can read; "" where it is."""
        if sentence != visible(sentence):
            return f"its sentence is more than a line of text: {visible(sentence)[:200]}"
        if str(self.folder) not in sentence:
            return f"its sentence names no file: {sentence[:200]}"
        if len(sentence) > MOST_LETTERS:
            return f"its sentence has {len(sentence)} letters: {sentence[:200]}"
        return f"its sentence is of memory: {sentence[:200]}" if "MemoryError" in sentence else ""
