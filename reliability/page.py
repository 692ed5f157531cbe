"""`python -m reliability.page`: the tables of reliability/README.md, from what the trials have recorded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tabulate import tabulate

from benchmarks.pages import between
from grounding.errors import InputError
from grounding.runtime.cli import exit_on_input_error
from grounding.runtime.files import write_text_atomic
from reliability.recording import RESULTS

PAGE = Path(__file__).with_name("README.md")
BEGIN, END = "<!-- Written by python -m reliability.page -->", "<!-- End of what is written -->"
COLUMNS = ("what was tried", "how often", "how it ended", "wrong", "more")


def write_page(results: Path = RESULTS, page: Path = PAGE) -> None:
    """Put the tables in the page.

    Raises:
        InputError: there are no results, or the page lacks a mark.
    """
    if not results.is_file():
        raise InputError(f"there is no {results}: run make chaos, make fuzz or make soak first")
    write_text_atomic(page, between(page, BEGIN, END, tables(json.loads(results.read_text(encoding="utf-8")))))


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
    with exit_on_input_error():
        write_page()
