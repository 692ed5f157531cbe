"""Which states stay: the last whole ones, whatever became of newer ones."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest
import torch
from accelerate import Accelerator
from safetensors.torch import save_file
from torch import nn
from torch.optim.swa_utils import AveragedModel

from grounding.training.checkpoint import WEIGHTS_FILE, Checkpoints, Progress


class _Saving:
    """In an accelerator's place: saves a weight."""

    def save_state(self, path: str) -> None:
        Path(path).mkdir(parents=True)
        save_file({"w": torch.zeros(1)}, Path(path) / WEIGHTS_FILE)


def saved(folder: Path, *steps: int, keep: int) -> list[str]:
    """Saves states of these steps; the names of those that are then there."""
    states = Checkpoints(folder, keep=keep)
    for step in steps:
        states.save(cast(Accelerator, _Saving()), AveragedModel(nn.Linear(1, 1)), Progress(step=step))
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("keep", [1, 2, 3])
def test_the_last_ones_stay(tmp_path: Path, keep: int) -> None:
    names = [f"{step:08d}-0000" for step in (1, 2, 10, 100)]
    assert saved(tmp_path, 1, 2, 10, 100, keep=keep) == names[-keep:]


@pytest.mark.parametrize("keep", [1, 2])
def test_a_damaged_newer_state_takes_no_place(tmp_path: Path, keep: int) -> None:
    saved(tmp_path, 100, 200, keep=2)
    (tmp_path / "00000200-0000" / WEIGHTS_FILE).write_bytes(b"damaged")
    told: list[str] = []
    assert Checkpoints(tmp_path, keep=keep).newest(told.append) == tmp_path / "00000100-0000" and len(told) == 1
    names = saved(tmp_path, 150, keep=keep)
    assert names == ["00000100-0000", "00000150-0000"][-keep:]
    newest = Checkpoints(tmp_path, keep=keep).newest(told.append)
    assert newest == tmp_path / "00000150-0000" and len(told) == 1
