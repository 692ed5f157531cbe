"""Runs the project's scripts as a user does, without a new process for each."""

from __future__ import annotations

import runpy
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Outcome:
    """What a script left: exit code, standard output and standard error."""

    code: int
    out: str
    err: str


def run_script(capsys: pytest.CaptureFixture[str], name: str, *arguments: object) -> Outcome:
    """`python NAME ARGUMENTS...` in this process, or `python -m NAME ARGUMENTS...` where NAME is a module's."""
    before = sys.argv
    sys.argv = [name, *map(str, arguments)]
    capsys.readouterr()
    try:
        if name.endswith(".py"):
            runpy.run_path(str(ROOT / name), run_name="__main__")
        else:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", ".*found in sys.modules", RuntimeWarning)
                runpy.run_module(name, run_name="__main__", alter_sys=True)
        code = 0
    except SystemExit as stop:
        code = int(stop.code or 0)
    finally:
        sys.argv = before
    captured = capsys.readouterr()
    return Outcome(code, captured.out, captured.err)


def assert_refused(outcome: Outcome, *fragments: object) -> None:
    """Exit code 2, and as last line of stderr one sentence with the fragments; no traceback."""
    assert outcome.code == 2, outcome
    assert "Traceback" not in outcome.err
    last = outcome.err.strip().splitlines()[-1]
    assert last.startswith("error: ")
    for fragment in fragments:
        assert str(fragment) in last, last
