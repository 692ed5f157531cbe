"""What the trials here found: rows of a file, and `python -m reliability.page`, which puts them into a page."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

from tabulate import tabulate

from benchmarks.measuring import hardware, run
from benchmarks.pages import write_between
from grounding.runtime.errors import InputError
from grounding.runtime.files import write_text_atomic

RESULTS = Path(__file__).with_name("results.json")
PAGE = Path(__file__).with_name("README.md")
BEGIN, END = "<!-- Written by python -m reliability.page -->", "<!-- End of what is written -->"
COLUMNS = ("what was tried", "how often", "how it ended", "wrong", "more")


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


def write_page(results: Path = RESULTS, page: Path = PAGE) -> None:
    """Put the tables in the page.

    Raises:
        InputError: there are no results, or the page lacks a mark.
    """
    if not results.is_file():
        raise InputError(f"there is no {results}: run make chaos, make fuzz or make soak first")
    write_between(page, BEGIN, END, tables(json.loads(results.read_text(encoding="utf-8"))))


def tables(results: dict[str, Any]) -> str:
    """A table for every kind of trial, under a line with its command, day and machine."""
    parts = []
    for trials, found in results.items():
        rows = [
            (row["name"], f"{row['tried']:,}", ", ".join(f"{n:,} {words}" for words, n in row["counts"].items()),
             row["wrong"], row["detail"].replace("|", "\\|"))
            for row in found["rows"]
        ]  # fmt: skip
        table = tabulate(rows, COLUMNS, "github", disable_numparse=True)
        parts.append(f"### {trials}\n\n`{found['command']}`, {found['date']}; {found['hardware']}.\n\n{table}\n")
    return "\n" + "\n".join(parts)


if __name__ == "__main__":
    run(write_page)
