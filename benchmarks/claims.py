"""docs/claims.json: what README and docs state as a number, each with the command that measured it.

Only commands write it, through `record`. A claim without a goal is a number that is reported, not one that is promised.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

from benchmarks.measuring import hardware
from grounding.runtime.errors import InputError
from grounding.runtime.files import write_text_atomic

CLAIMS = Path("docs/claims.json")


@dataclass(frozen=True)
class Claim:
    """One measured number.

    Attributes:
        value: what was measured.
        command: that measures it again.
        interval: 95 % confidence interval of it; None where it has none.
        n: on how many expressions, scenes or repetitions.
        goal: (least, most) that it is held against, either may be None; None where it is only reported.
        surely: whether the whole interval has to lie beyond the goal, and not the value alone.
        date, machine: when and on which CPU; given by `record`.
    """

    value: float
    command: str
    interval: tuple[float, float] | None = None
    n: int | None = None
    goal: tuple[float | None, float | None] | None = None
    surely: bool = False
    date: str = ""
    machine: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the value, or with `surely` its interval, keeps to its goal; None where there is none."""
        if self.goal is None:
            return None
        least, most = self.goal
        if self.surely and self.interval is not None:
            return (least is None or self.interval[0] > least) and (most is None or self.interval[1] < most)
        return (least is None or self.value >= least) and (most is None or self.value <= most)


def record(claims: Mapping[str, Claim], path: Path = CLAIMS) -> None:
    """Write claims into the file, in the place of those of the same names, with today's date and this machine."""
    held = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    for name, claim in claims.items():
        dated = replace(claim, date=date.today().isoformat(), machine=hardware())
        facts = asdict(dated)
        del facts["surely"]  # what it leads to is "met"
        held[name] = {**facts, "met": claim.met}
    write_text_atomic(path, json.dumps(dict(sorted(held.items())), indent=2) + "\n")


def claims_under(prefix: str, path: Path = CLAIMS) -> dict[str, dict[str, Any]]:
    """The recorded claims whose names begin with a prefix, by what follows it.

    Raises:
        InputError: there are none.
    """
    held = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    found = {name.removeprefix(prefix): claim for name, claim in held.items() if name.startswith(prefix)}
    if not found:
        raise InputError(f"{path} holds no claim that begins with {prefix!r}: run the command that measures it first")
    return found
