"""Commands of the project in processes of their own, begun at once: this process has imported what they need."""

from __future__ import annotations

import os
import runpy
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from threading import RLock

import torch
from tqdm import tqdm

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Attempt:
    """How a command ended.

    Attributes:
        code: exit code; minus the signal's number where a signal ended it.
        seconds: that it took.
        said: standard output and standard error together.
    """

    code: int
    seconds: float
    said: str

    @property
    def in_words(self) -> bool:
        """Whether it ended well, or by one sentence for people: not by a traceback."""
        last = self.said.strip().rsplit("\n", 1)[-1]
        return "Traceback" not in self.said and (self.code == 0 or (self.code == 2 and last.startswith("error: ")))


class Running:
    """A command that has been started.

    Args:
        words: "train.py" or another script, or "-m" and a module, and the arguments.
        log: file for what it says.
    """

    def __init__(self, words: Sequence[object], log: Path) -> None:
        self._log = log
        self._began = time.monotonic()
        self._process = get_context("fork").Process(target=_command, args=([str(word) for word in words], log))
        self._process.start()
        with suppress(OSError):  # the command does so too: whoever comes first
            os.setpgid(self._process.pid or 0, self._process.pid or 0)

    def kill_after(self, seconds: float) -> bool:
        """SIGKILL to the command and its own processes, unless it ends before; whether it was killed."""
        self._process.join(seconds)
        if self._process.exitcode is not None:
            return False
        with suppress(ProcessLookupError):  # it has just ended
            os.killpg(self._process.pid or 0, signal.SIGKILL)
        self._process.join()
        return True

    def wait(self, seconds: float) -> None:
        """Let it work for a while, unless it ends before."""
        self._process.join(seconds)

    def end(self) -> Attempt:
        """Wait for it."""
        self._process.join()
        said = self._log.read_text(encoding="utf-8", errors="replace")
        return Attempt(self._process.exitcode or 0, time.monotonic() - self._began, said)


def run(words: Sequence[object], log: Path) -> Attempt:
    """A command from start to end."""
    return Running(words, log).end()


def _command(words: list[str], log: Path) -> None:
    with suppress(OSError):
        os.setpgid(0, 0)
    tqdm.set_lock(RLock())  # its own is shared with this command's parent, which would wait for ever for a killed one's
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(file, stream)
    sys.stdout = sys.stderr = os.fdopen(file, "w", buffering=1)
    os.chdir(ROOT)
    torch.set_num_threads(1)
    if words[0] == "-m":
        sys.argv = words[1:]
        runpy.run_module(words[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = words
        runpy.run_path(words[0], run_name="__main__")
