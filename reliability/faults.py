"""Places that fail while a command works in them: what it must say, and that it goes on when they are mended."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from reliability.attempts import Attempt, Running, run
from reliability.page import Row
from reliability.works import Work, left_over

ROOM = "200m"  # more than any of the works writes
EARLIER = (1 / 2, 1 / 3, 1 / 4, 1 / 6, 1 / 8)  # parts of the time after which the data go away
PAGE = 4096  # bytes that the smallest file takes

# From the work, its data set, its output folder, and what is to be done after the work has gone on, to its attempts.
Fault = Callable[[Work, Path, Path, ExitStack], list[Attempt]]


def faults_of(work: Work, data: Path, place: Path, expected: dict[str, str], seconds: float) -> Row:
    """Meet every fault once, mend it, and let the same command go on.

    Args:
        work: which.
        data: its data set.
        place: folder for the outputs; that of the undisturbed work is there.
        expected: result of the undisturbed work, which took `seconds`.
        seconds: of it; the data go away after a part of them.
    """
    faults: dict[str, Fault] = {"data folder gone": partial(_data_gone, seconds), "two at once": _two_at_once}
    if can_mount():
        faults |= {"full disk": _full_disk, "read-only folder": _read_only}
    said: list[str] = []
    undisturbed: list[str] = []
    wrong: list[str] = []
    for name, fault in faults.items():
        output = place / name.replace(" ", "_")
        output.mkdir()
        with ExitStack() as afterwards:
            attempts = fault(work, data, output, afterwards)
            again = run(work.command(data, output), output.with_suffix(".log"))
            in_words = all(attempt.in_words for attempt in attempts)
            if in_words and again.code == 0 and work.result(output) == expected and not left_over(output):
                (said if any(attempt.code for attempt in attempts) else undisturbed).append(name)
            else:
                wrong.append(f"{name} ({'; '.join(each.said.strip()[-200:] for each in (*attempts, again))})")
    counts = {"ended with one sentence, then gone on to the same result": len(said),
              "worked all the same": len(undisturbed)}  # fmt: skip
    detail = "; ".join(f"{words}: {', '.join(names)}" for words, names in
                       (("with a sentence", said), ("all the same", undisturbed)) if names)  # fmt: skip
    if not can_mount():
        detail += "; full disk and read-only folder were not tried, for they need root"
    return Row(f"{work.name}: faults", len(faults), counts, len(wrong), "; wrong: ".join([detail, *wrong]))


def can_mount() -> bool:
    """Whether this process may make file systems: Linux and root."""
    return hasattr(os, "geteuid") and os.geteuid() == 0 and Path("/proc/mounts").is_file()


def _data_gone(seconds: float, work: Work, data: Path, output: Path, _: ExitStack) -> list[Attempt]:
    """Earlier and earlier, until it is met: what has read all it needs works all the same."""
    images, away = data / "images", data / "images.away"
    for earlier in EARLIER:
        shutil.rmtree(output)
        output.mkdir()
        running = Running(work.command(data, output), output.with_suffix(".log"))
        running.wait(seconds * earlier)
        images.rename(away)
        try:
            attempt = running.end()
        finally:
            away.rename(images)
        if attempt.code:
            break
    return [attempt]


def _two_at_once(work: Work, data: Path, output: Path, _: ExitStack) -> list[Attempt]:
    pair = [Running(work.command(data, output), output.with_name(f"{output.name}_{i}.log")) for i in range(2)]
    return [each.end() for each in pair]


def _full_disk(work: Work, data: Path, output: Path, afterwards: ExitStack) -> list[Attempt]:
    """Room for half of what the undisturbed work has left."""
    sizes = [path.stat().st_size for path in output.with_name("undisturbed").rglob("*") if path.is_file()]
    pages = sum(-(-size // PAGE) for size in sizes) // 2
    _mount(output, f"size={pages * PAGE}", afterwards)
    attempts = [run(work.command(data, output), output.with_suffix(".log"))]
    _mount(output, f"remount,size={ROOM}")
    return attempts


def _read_only(work: Work, data: Path, output: Path, afterwards: ExitStack) -> list[Attempt]:
    _mount(output, f"ro,size={ROOM}", afterwards)
    attempts = [run(work.command(data, output), output.with_suffix(".log"))]
    _mount(output, "remount,rw")
    return attempts


def _mount(folder: Path, options: str, afterwards: ExitStack | None = None) -> None:
    """A file system in memory in place of the folder, until it is taken away afterwards."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], check=True)
    if afterwards is not None:
        afterwards.callback(subprocess.run, ["umount", str(folder)], check=True)
