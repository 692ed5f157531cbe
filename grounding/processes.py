"""The processes of one launch, by `torchrun` or `accelerate launch`: how many share the work, and which one this is."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist
from accelerate import PartialState

PATIENCE = timedelta(days=30)  # for the others, where shares of the work take differently long

Item = TypeVar("Item")


def join_launch(*, cpu: bool) -> PartialState:
    """What this process is of its launch, connected with the others; alone where nothing has launched it.

    Args:
        cpu: whether GPUs stay unused.
    """
    several = int(os.environ.get("WORLD_SIZE", "1")) > 1
    # Without being told that it is for the CPU, accelerate takes each process of a launch without GPUs to be alone.
    return PartialState(cpu=cpu or (several and not torch.cuda.is_available()), timeout=PATIENCE)


def rank_and_size() -> tuple[int, int]:
    """This process's number, from 0, and how many are connected; (0, 1) where none are."""
    if not (dist.is_available() and dist.is_initialized()):
        return 0, 1
    return dist.get_rank(), dist.get_world_size()


def share_name(work: str, process: int, processes: int) -> str:
    """What a progress bar says: it shows one process's share of the work, where several share it."""
    return f"{work} (share {process} of {processes})" if processes > 1 else work


def gather(own: Sequence[Item]) -> list[Item]:
    """Every process's items in all processes, in the order of their numbers; each calls this once."""
    _, size = rank_and_size()
    if size == 1:
        return list(own)
    parts: list[Sequence[Item]] = [()] * size
    dist.all_gather_object(parts, own)
    return [item for part in parts for item in part]
