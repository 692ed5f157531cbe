"""What a program waits for before its first answer: `python -m benchmarks.start`, on an idle machine.

`import grounding` and `python -m grounding --help`, each in new processes; and in one that has loaded the shipped
decoder, the first answer beside a later one to other phrases. Goals: 0.3 s, 1.0 s, and 1.2 times the later one.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from benchmarks.measuring import Finding, report, run, take_turns
from benchmarks.rn50 import write_photo

COMMAND = "python -m benchmarks.start"
ANSWERS = """
import json, sys, time, grounding
grounder = grounding.load("refshapes")
seconds = []
for phrase in ("the red circle", "the blue star", "the green ring", "the grey cross"):
    began = time.perf_counter()
    grounder.ground(sys.argv[1], [phrase])
    seconds.append(time.perf_counter() - began)
print(json.dumps(seconds))
"""


def main(rounds: int = 10) -> None:
    """Measure and report.

    Args:
        rounds: processes of each kind.
    """
    with TemporaryDirectory() as folder:
        photo = write_photo(Path(folder) / "photo.jpg")
        answers = [json.loads(_output(["-W", "ignore", "-c", ANSWERS, str(photo)])) for _ in range(rounds)]
    seconds = take_turns(
        {
            "nothing": partial(_output, ["-c", "pass"]),
            "import": partial(_output, ["-c", "import grounding"]),
            "help": partial(_output, ["-m", "grounding", "--help"]),
        },
        rounds=rounds,
    )
    first, later = (median(of_process[place] for of_process in answers) for place in (0, -1))
    detail = f"seconds of a process; {seconds['nothing']:.2f} of one that does nothing; medians of {rounds}"
    report([Finding("start.import", seconds["import"], 0.3, False, detail),
            Finding("start.help", seconds["help"], 1.0, False, detail),
            Finding("start.first_answer", first / later, 1.2, False,
                    f"{1e3 * first:.0f} ms, and {1e3 * later:.0f} ms the fourth; medians of {rounds} processes")],
           command=COMMAND)  # fmt: skip


def _output(words: Sequence[str]) -> str:
    return subprocess.run([sys.executable, *words], check=True, capture_output=True, text=True).stdout


if __name__ == "__main__":
    run(main)
