"""All measurements of speed, each in a process of its own: `python -m benchmarks`, half an hour on an idle machine.

    python -m benchmarks --only '[encoding, growth]'

Each prints what it finds and leaves it in benchmarks/results.json; docs/performance.md is then written anew.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.measuring import RESULTS, run
from benchmarks.pages import write_between
from grounding.runtime.errors import InputError

NAMES = ("encoding", "end_to_end", "against_yolo_clip", "against_models", "fast", "training_step", "evaluation",
         "start", "precision", "growth", "export", "gpu")  # fmt: skip
PAGE = Path("docs/performance.md")
BEGIN, END = "<!-- Written by python -m benchmarks -->", "<!-- End of what it writes -->"


def main(only: Sequence[str] = NAMES) -> None:
    """Run benchmarks one after the other, then write the page.

    Args:
        only: names of benchmarks; none writes the page alone.

    Raises:
        InputError: there is no such benchmark, or one failed.
    """
    for name in only:
        if name not in NAMES:
            raise InputError(f"there is no benchmark {name!r}: give some of {', '.join(NAMES)}")
    failed = []
    for name in only:
        print(f"\n== {name}", flush=True)
        if subprocess.run([sys.executable, "-m", f"benchmarks.{name}"]).returncode:
            failed.append(name)
    write_page()
    if failed:
        raise InputError(f"{', '.join(failed)} failed, as told above: mend that and run --only '[{', '.join(failed)}]'")


def write_page(results: Path = RESULTS, page: Path = PAGE) -> None:
    """Put the tables between the page's two marks.

    Raises:
        InputError: there are no results, or no marks.
    """
    if not results.is_file():
        raise InputError(f"there is no {results}: run python -m benchmarks first")
    write_between(page, BEGIN, END, tables(json.loads(results.read_text(encoding="utf-8"))))


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
    run(main)
