"""`python -m reliability.fuzz`: tens of thousands of spoilt files for whatever reads files of strangers.

Each must be read, or refused in one sentence that names the file, within seconds and within bounded memory. What ends
otherwise is kept in `reliability/wrong`.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as seeded
from tqdm import tqdm

from benchmarks.measuring import run
from grounding.runtime.errors import InputError
from reliability.page import Row, record
from reliability.readers import Reader, make_readers

WRONG = Path(__file__).with_name("wrong")


def fuzz(reader: Reader, inputs: int, *, seed: int, keep_in: Path | None = None, hide_progress: bool = False) -> None:
    """Give a reader so many inputs; its trial counts how they end.

    Args:
        reader: what reads.
        inputs: how many.
        seed: the same one gives the same inputs.
        keep_in: folder for inputs that end wrongly.
        hide_progress: whether there is no progress bar.
    """
    for data in reader.seeds:
        reader.trial.give(data, keep_in=keep_in)
    with tqdm(total=inputs, desc=reader.trial.name, unit=" inputs", disable=hide_progress) as bar:

        @seeded(seed)
        @settings(max_examples=inputs, phases=[Phase.generate], database=None, deadline=None,
                  suppress_health_check=list(HealthCheck))  # fmt: skip
        @given(reader.inputs)
        def give(data: bytes) -> None:
            reader.trial.give(data, keep_in=keep_in)
            bar.update()

        give()


def _row(reader: Reader, seconds: float) -> Row:
    trial = reader.trial
    counts = {end: number for end, number in sorted(trial.counts.items()) if end != "wrong"}
    tried = sum(trial.counts.values())
    detail = f"{len(reader.seeds)} right files, spoilt: {tried / seconds:.0f} a second"
    return Row(trial.name, tried, counts, trial.counts["wrong"], detail)


def main(inputs: int = 20_000, only: Sequence[str] = (), seed: int = 0) -> None:
    """Give every reader its spoilt files, and record how they ended.

    Args:
        inputs: for each reader.
        only: names of readers; all where none is given.
        seed: of the inputs.
    """
    with TemporaryDirectory(prefix="fuzz-") as folder:
        readers = make_readers(Path(folder))
        unknown = [name for name in only if name not in readers]
        if unknown:
            raise InputError(f"there is no reader {unknown[0]!r}: choose from {', '.join(readers)}")
        rows = []
        for reader in (readers[name] for name in only or readers):
            started = time.perf_counter()
            fuzz(reader, inputs, seed=seed, keep_in=WRONG)
            rows.append(_row(reader, time.perf_counter() - started))
    if only:
        print("nothing is recorded, since not all were tried")
    else:
        record("fuzz", rows, command="make fuzz")
    for reader in (readers[name] for name in only or readers):
        for digest, fault in reader.trial.wrong.items():
            print(f"{reader.trial.name} {digest[:12]}: {fault}")
    if any(reader.trial.wrong for reader in readers.values()):
        raise SystemExit(1)


if __name__ == "__main__":
    run(main)
