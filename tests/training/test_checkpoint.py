"""Saved states: the last whole ones stay, a damaged one gives way to the one before, and training goes on from it."""

from __future__ import annotations

import os
import shutil
import signal
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest
import torch
from accelerate import Accelerator
from safetensors.torch import save_file
from torch import nn
from torch.optim.swa_utils import AveragedModel

from grounding import InputError
from grounding.runtime.signals import Stopped
from grounding.training.checkpoint import WEIGHTS_FILE, Checkpoints, Progress
from grounding.training.config import TrainConfig
from grounding.training.train import train
from tests.training.disturbing import at_step, signalled
from tests.training.runs import assert_same


@pytest.fixture
def config(config: TrainConfig) -> TrainConfig:
    """Saved after every step."""
    return replace(config, save_every=1)


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


@pytest.mark.parametrize("damage", ["cut", "bit", "gone", "unlisted", "empty"])
def test_a_damaged_state_is_told_from_a_whole_one(tmp_path: Path, damage: str) -> None:
    saved(tmp_path, 100, 200, keep=2)
    victim, files = (tmp_path / "00000200-0000" / name for name in (WEIGHTS_FILE, "files.json"))
    content = bytearray(victim.read_bytes())
    if damage == "bit":
        content[len(content) // 2] ^= 1
    if damage in ("cut", "bit"):
        victim.write_bytes(content[: -7 if damage == "cut" else None])
    elif damage == "gone":
        victim.unlink()
    elif damage == "unlisted":
        files.unlink()
    else:
        files.write_text("{}")
    told: list[str] = []
    assert Checkpoints(tmp_path, keep=2).newest(told.append) == tmp_path / "00000100-0000"
    assert [line.partition(" is damaged")[0] for line in told] == [str(victim.parent)]


def test_training_goes_on_from_the_state_before_a_damaged_one(
    config: TrainConfig, undisturbed: TrainConfig, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        at_step(patch, 5, signalled(signal.SIGTERM))
        with pytest.raises(Stopped):
            train(config)
    states = sorted((config.output / "states").iterdir())
    assert [each.name for each in states] == ["00000004-0001", "00000005-0001"]
    (states[-1] / "optimizer.bin").unlink()
    capsys.readouterr()
    train(replace(config, resume=True))
    assert f"{states[-1]} is damaged" in capsys.readouterr().out
    assert_same(config, undisturbed)


def test_what_the_logs_say_of_lost_steps_comes_once(config: TrainConfig, undisturbed: TrainConfig) -> None:
    config = replace(config, last_states=100)
    train(config)
    for path in (config.output / "states").glob("*-0002"):  # killed after the last epoch's line, before its state
        shutil.rmtree(path)
    with (config.output / "metrics.jsonl").open("a") as file:
        file.write('{"epoch": 3, "st')
    (config.output / "skipped.jsonl").write_text('{"step": 2}\n{"step": 7}\n{"st')
    train(replace(config, resume=True))
    assert_same(config, undisturbed)
    assert (config.output / "skipped.jsonl").read_text() == '{"step": 2}\n'


def test_no_whole_state_is_said(finished: TrainConfig) -> None:
    for path in (finished.output / "states").glob("*/progress.json"):
        path.write_text("{}")
    with pytest.raises(InputError, match="none of the 2 states"):
        train(replace(finished, resume=True))


def test_a_full_disk_leaves_the_states_before(
    config: TrainConfig, undisturbed: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    flush, calls = os.fsync, iter(range(1000))

    def full(descriptor: int) -> None:
        if next(calls) > 25:
            raise OSError(28, "No space left on device")
        flush(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(InputError, match=r"cannot be written .*No space left.* --resume true"):
            train(config)
    names = sorted(path.name for path in (config.output / "states").iterdir())
    assert names and "unfinished" not in names
    train(replace(config, resume=True))
    assert_same(config, undisturbed)


def test_a_run_without_states_is_not_trained_over(finished: TrainConfig) -> None:
    before = (finished.output / "decoder.safetensors").read_bytes()
    shutil.rmtree(finished.output / "states")
    with pytest.raises(InputError, match="no state to go on from"):
        train(replace(finished, resume=True))
    assert (finished.output / "decoder.safetensors").read_bytes() == before
