"""Kills at random moments, and places that fail: `make chaos`, or `python -m reliability.chaos`.

Every kind of work is killed (SIGKILL) at moments drawn evenly over the time that it takes when nothing disturbs it, and
started again by the same command, until it was killed so many times; each time that it ends, its result is held against
that of the undisturbed work. Then each meets a disk that fills up, a folder that is read-only, a data folder that goes
away while it works, and another one of its kind in the same folder.
"""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from jsonargparse import auto_cli
from tqdm import tqdm

import grounding.deployment.bulk
import grounding.evaluation.compare
import grounding.training.search  # noqa: F401  with the two above, all that the commands import
from reliability.attempts import Attempt, Running, run
from reliability.faults import faults_of
from reliability.page import Row, record
from reliability.works import WORKS, Work, left_over, write_data


def main(kills: int = 20, seed: int = 0) -> None:
    """Disturb, compare and record.

    Args:
        kills: of each kind of work.
        seed: of their moments.
    """
    torch.set_num_threads(1)  # a pool of threads would not survive the fork
    rows = []
    with TemporaryDirectory() as folder:
        data = write_data(Path(folder))
        for number, work in enumerate(WORKS):
            place = Path(folder) / work.name.replace(" ", "_")
            place.mkdir()
            undisturbed = finished(work, data, place / "undisturbed")
            expected = work.result(place / "undisturbed")
            rows += [killed(work, data, place, expected, undisturbed.seconds, kills, seed + number),
                     faults_of(work, data, place, expected, undisturbed.seconds)]  # fmt: skip
    record("chaos", rows, command=f"python -m reliability.chaos --kills {kills} --seed {seed}")


def finished(work: Work, data: Path, output: Path) -> Attempt:
    """Work that nothing disturbs.

    Raises:
        RuntimeError: it failed; with what it said.
    """
    output.mkdir(exist_ok=True)
    attempt = run(work.command(data, output), output.with_suffix(".log"))
    if attempt.code:
        raise RuntimeError(f"{work.name} failed where nothing disturbs it:\n{attempt.said}")
    return attempt


def killed(work: Work, data: Path, place: Path, expected: dict[str, str], seconds: float, kills: int, seed: int) -> Row:
    """Kill and go on until all kills are made and the work under way has ended.

    Args:
        work: which.
        data: its data set.
        place: folder for the outputs.
        expected: result of the undisturbed work, which took `seconds`.
        kills: how many.
        seed: of their moments.
    """
    rng = np.random.default_rng(seed)
    survived = failed = runs = since = 0
    left: list[Path] = []
    output, log = place / "killed_0", place / "killed.log"
    output.mkdir()
    with tqdm(total=kills, desc=f"{work.name}, kills", unit="kill") as bar:
        while survived + failed < kills or since:
            running = Running(work.command(data, output), log)
            may_be_killed = survived + failed + since < kills
            if may_be_killed and running.kill_after(rng.uniform(0, seconds)):
                since += 1
                bar.update()
                continue
            attempt = running.end()
            is_right = attempt.code == 0 and work.result(output) == expected
            if is_right:
                survived += since
            else:
                failed += max(since, 1)  # also where nothing was killed
            left += left_over(output)
            runs, since = runs + 1, 0
            output = place / f"killed_{runs}"
            output.mkdir()
    size = sum(path.stat().st_size for path in left if path.is_file())
    return Row(
        f"{work.name}: killed", kills, {"gone on to the same result": survived}, failed + len(left),
        f"in {runs} runs of {seconds:.1f} s each where nothing disturbs them; compared: {work.compared}; "
        f"{len(left)} files of {size} bytes left behind",
    )  # fmt: skip


if __name__ == "__main__":
    auto_cli(main, args=sys.argv[1:], as_positional=False)
