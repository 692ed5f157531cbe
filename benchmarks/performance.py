"""docs/performance.md's table out of results.json: `python -m benchmarks.performance`, measuring nothing."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

from benchmarks.measuring import RESULTS
from benchmarks.pages import between
from grounding.errors import InputError
from grounding.runtime.cli import exit_on_input_error
from grounding.runtime.files import write_text_atomic

PAGE = Path("docs/performance.md")
BEGIN, END = "<!-- Written by python -m benchmarks -->", "<!-- End of what it writes -->"


def write_page(results: Path = RESULTS, page: Path = PAGE) -> None:
    """Put the tables between the page's two marks.

    Raises:
        InputError: there are no results, or no marks.
    """
    if not results.is_file():
        raise InputError(f"there is no {results}: run python -m benchmarks first")
    write_text_atomic(page, between(page, BEGIN, END, tables(json.loads(results.read_text(encoding="utf-8")))))


def tables(results: dict[str, Any]) -> str:
    """A Markdown table per benchmark."""
    by_module: dict[str, list[tuple[str, dict[str, Any]]]] = defaultdict(list)
    for name, found in results.items():
        module, _, rest = name.partition(".")
        by_module[module].append((rest or module, found))
    parts = []
    for module, rows in by_module.items():
        commands = dict.fromkeys(f"`{found['command']}`" for _, found in rows)
        machines = dict.fromkeys(found["hardware"] for _, found in rows)
        parts.append(f"\n### {module.replace('_', ' ')}\n\n{', '.join(commands)}; {'; '.join(machines)}.\n")
        parts.append("| what | measured | goal | met | figures |\n| --- | --: | --: | --- | --- |")
        parts += [f"| {rest.replace('_', ' ')} | {found['ratio']:.3g} | {_goal(found)} | {_met(found)} | "
                  f"{found['detail']} |" for rest, found in rows]  # fmt: skip
    return "\n".join(parts)


def _goal(found: dict[str, Any]) -> str:
    return "" if found["goal"] is None else f"{'≥' if found['at_least'] else '≤'} {found['goal']:g}"


def _met(found: dict[str, Any]) -> str:
    return "" if found["met"] is None else "yes" if found["met"] else "**no**"


if __name__ == "__main__":
    with exit_on_input_error():
        write_page()
