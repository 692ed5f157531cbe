"""What a launcher has told this process of itself; it counts only where it is whole.

Job scripts and shells of clusters leave single variables behind, such as RANK. PyTorch is not imported here: every
command line asks this before it says its help.
"""

from __future__ import annotations

import os

from grounding.runtime.errors import InputError

LAUNCH = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")  # what a launcher tells each process


def launched_as() -> tuple[int, int]:
    """This process's number in its launch, and how many processes that has; 0 and 1 where nothing has launched it."""
    given = {name: os.environ[name] for name in LAUNCH if os.environ.get(name)}
    if given.get("WORLD_SIZE", "1") == "1":
        return 0, 1
    rank, size = given.get("RANK", ""), given["WORLD_SIZE"]
    if len(given) == len(LAUNCH) and rank.isdecimal() and size.isdecimal() and int(rank) < int(size):
        return int(rank), int(size)
    missing = ", ".join(name for name in LAUNCH if name not in given)
    fault = f"{missing} not set" if missing else f"RANK {rank!r}"
    raise InputError(f"the environment has WORLD_SIZE {size!r} with {fault}: start several processes with torchrun, or "
                     "unset WORLD_SIZE")  # fmt: skip


def is_main() -> bool:
    """Whether this is the main process, from the start on: launchers number processes before these meet."""
    try:
        return launched_as()[0] == 0
    except InputError:
        return True  # it has to be said


def refuse_several(command: str) -> None:
    """Refuses several processes of a launcher, where `command` is work for one."""
    if launched_as()[1] > 1:
        raise InputError(f"{command} works in one process: start it with python, not with torchrun or accelerate")
