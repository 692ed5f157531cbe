"""What the trials of this folder found: rows of one file, from which the tables of README.md are written."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

from benchmarks.measuring import hardware
from grounding.runtime.files import write_text_atomic

RESULTS = Path(__file__).with_name("results.json")


@dataclass(frozen=True)
class Row:
    """One kind of trial.

    Attributes:
        name: what was tried, in a few words.
        tried: how often: kills, inputs, requests.
        counts: how they ended, by words such as "survived" or "refused in words".
        wrong: of those tried, how many ended in a way that they must not.
        detail: a sentence: what was compared with what, sizes, memory.
    """

    name: str
    tried: int
    counts: dict[str, int]
    wrong: int
    detail: str


def record(trials: str, rows: Sequence[Row], *, command: str, path: Path = RESULTS) -> None:
    """Print the rows, and put them in place of what the same trials found before.

    Args:
        trials: "chaos", "fuzz" or which of the soaks.
        rows: in the order in which they are shown.
        command: what repeats them.
        path: the file.
    """
    known: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    for row in rows:
        ends = ", ".join(f"{number} {words}" for words, number in row.counts.items())
        print(f"{row.name}: {row.tried} tried, {ends}, {row.wrong} wrong; {row.detail}", flush=True)
    known[trials] = {"command": command, "date": date.today().isoformat(), "hardware": hardware(),
                     "rows": [asdict(row) for row in rows]}  # fmt: skip
    write_text_atomic(path, json.dumps(dict(sorted(known.items())), indent=2) + "\n")
