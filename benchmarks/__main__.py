"""All measurements of speed, each in a process of its own: `python -m benchmarks`, half an hour on an idle machine.

    python -m benchmarks --only '[encoding, growth]'

Each prints what it finds and leaves it in benchmarks/results.json; docs/performance.md is then written anew.
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, field

from jsonargparse import auto_cli

from benchmarks.performance import write_page
from grounding.errors import InputError
from grounding.runtime.cli import exit_on_input_error

NAMES = ("encoding", "end_to_end", "against_yolo_clip", "precision", "training_speed", "training_processes", "sharing",
         "growth", "export", "gpu")  # fmt: skip


@dataclass(frozen=True)
class Wanted:
    """Which benchmarks to run.

    Attributes:
        only: names of benchmarks; all where it is empty.
    """

    only: list[str] = field(default_factory=list)


def main(wanted: Wanted) -> None:
    """Run them one after the other, then write the page.

    Raises:
        InputError: there is no such benchmark, or one failed.
    """
    for name in wanted.only:
        if name not in NAMES:
            raise InputError(f"there is no benchmark {name!r}: give some of {', '.join(NAMES)}")
    failed = []
    for name in wanted.only or NAMES:
        print(f"\n== {name}", flush=True)
        if subprocess.run([sys.executable, "-m", f"benchmarks.{name}"]).returncode:
            failed.append(name)
    write_page()
    if failed:
        raise InputError(f"{', '.join(failed)} failed, as told above: mend that and run --only '[{', '.join(failed)}]'")


if __name__ == "__main__":
    with exit_on_input_error():
        main(auto_cli(Wanted, args=sys.argv[1:], as_positional=False, prog="python -m benchmarks"))
