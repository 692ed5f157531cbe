"""How long the demo takes, in fresh clones: `python -m benchmarks.demo`.

Each clone runs `demo.py` with this Python, so that the installation, which depends on the network, is left out. All
clones must measure the same numbers: what differs between runs of one commit is no result.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from jsonargparse.typing import PositiveInt

from benchmarks.claims import CLAIMS, Claim, record
from benchmarks.measuring import run
from grounding.runtime.errors import InputError

GOAL = 240.0  # seconds, on two quiet cores
TOOK = re.compile(r"^took +(\d+) seconds$", re.MULTILINE)
COMMAND = "python -m benchmarks.demo"
RESULTS = "runs/demo/results.json"


def main(clones: PositiveInt = 3, claims: Path = CLAIMS) -> None:
    """Time the demo of the last commit, one clone after the other, and keep the slowest as a claim.

    Args:
        clones: how many; each takes about four minutes.
        claims: file that the result goes into.

    Raises:
        InputError: a demo fails, or two of them measure different numbers.
    """
    seconds, metrics = zip(*(time_one(number) for number in range(1, clones + 1)), strict=True)
    if any(each != metrics[0] for each in metrics):
        raise InputError("two clones of one commit measured different numbers: run them by hand and compare")
    record({"demo/slowest seconds": Claim(max(seconds), COMMAND, n=clones, goal=(None, GOAL))}, claims)


def time_one(number: int) -> tuple[float, dict[str, Any]]:
    """Seconds that the demo of a new clone says it took, and what it measured of each method.

    Raises:
        InputError: it fails; its last line is quoted.
    """
    with TemporaryDirectory() as folder:
        subprocess.run(["git", "clone", "--quiet", ".", folder], check=True)
        done = subprocess.run([sys.executable, "demo.py"], cwd=folder, capture_output=True, text=True)
        took = TOOK.search(done.stdout)
        if done.returncode or took is None:
            raise InputError(f"the demo failed: {(done.stderr.strip() or 'it said nothing').splitlines()[-1]}")
        results = json.loads((Path(folder) / RESULTS).read_text(encoding="utf-8"))
    print(f"clone {number}: {took[1]} seconds", flush=True)
    return float(took[1]), {name: method["metrics"] for name, method in results["methods"].items()}


if __name__ == "__main__":
    run(main)
