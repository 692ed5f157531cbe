"""Saved states: the last whole ones stay, a damaged one gives way to the one before, and training goes on from it."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace

import pytest
import torch

from grounding import InputError
from grounding.training.config import TrainConfig
from grounding.training.run_folder import Progress, RunFolder
from grounding.training.train import train
from tests.training.runs import assert_same, state_names


@pytest.fixture
def config(config: TrainConfig) -> TrainConfig:
    """Saved after every step."""
    return replace(config, save_every=1)


def saved(config: TrainConfig, *steps: int, keep: int) -> list[str]:
    """Saves states of these steps; the steps of those that are then there."""
    with RunFolder(replace(config, last_states=keep, resume=True)) as run:
        for step in steps:
            run.save_state({"w": torch.zeros(1)}, Progress(step=step))
    return [name.partition("-")[0].lstrip("0") for name in state_names(config.output)]


def newest(config: TrainConfig) -> int:
    with RunFolder(replace(config, resume=True)) as run:
        path = run.newest_state()
    assert path is not None
    return int(torch.load(path, weights_only=True)["progress"]["step"])


@pytest.mark.parametrize("keep", [1, 2, 3])
def test_the_last_ones_stay(config: TrainConfig, keep: int) -> None:
    assert saved(config, 1, 2, 10, 100, 100, keep=keep) == ["1", "2", "10", "100"][-keep:]


@pytest.mark.parametrize("damage", ["cut", "bit", "empty"])
def test_a_damaged_newer_state_takes_no_place(
    config: TrainConfig, capsys: pytest.CaptureFixture[str], damage: str
) -> None:
    saved(config, 100, 200, keep=2)
    victim = max((config.output / "states").iterdir())
    content = bytearray(victim.read_bytes())
    content[len(content) // 2] ^= 1
    victim.write_bytes({"cut": content[:-7], "bit": content, "empty": b""}[damage])
    (victim.parent / "00000150-0000.pt.part").touch()  # of a killed program
    assert newest(config) == 100
    assert f"{victim} is damaged" in capsys.readouterr().out
    assert saved(config, 150, keep=2) == ["100", "150"]
    assert newest(config) == 150 and "damaged" not in capsys.readouterr().out


def test_what_is_no_state_stays(config: TrainConfig) -> None:
    folder = config.output / "states"
    (folder / "copies").mkdir(parents=True)
    (folder / "why.txt").touch()
    (folder / "00000001-0000.pt.part").touch()  # of a killed program
    saved(config, 1, 2, keep=1)
    assert [path.name[:6] for path in sorted(folder.iterdir())] == ["000000", "copies", "why.tx"]


def test_what_the_logs_say_of_lost_steps_comes_once(config: TrainConfig, undisturbed: TrainConfig) -> None:
    train(config)
    [last] = (config.output / "states").glob("*-0002-*")  # the others are from before the last epoch's line
    last.write_bytes(b"damaged")
    with (config.output / "metrics.jsonl").open("a") as file:
        file.write('{"epoch": 3, "st')
    (config.output / "skipped.jsonl").write_text('{"step": 2}\n{"step": 7}\n{"st')
    train(replace(config, resume=True))
    assert_same(config, undisturbed)
    assert (config.output / "skipped.jsonl").read_text() == '{"step": 2}\n'


@pytest.mark.parametrize("left", ["damaged ones", "none"])
def test_a_run_without_a_whole_state_is_not_trained_over(finished: TrainConfig, left: str) -> None:
    before = (finished.output / "decoder.safetensors").read_bytes()
    if left == "none":
        shutil.rmtree(finished.output / "states")
    else:
        for path in (finished.output / "states").iterdir():
            path.write_bytes(b"")
    said = {"none": "no state to go on from", "damaged ones": "none of the 2 states"}[left]
    with pytest.raises(InputError, match=said):
        train(replace(finished, resume=True))
    assert (finished.output / "decoder.safetensors").read_bytes() == before


def test_a_full_disk_leaves_the_states_before(
    config: TrainConfig, undisturbed: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    flush, calls = os.fsync, iter(range(1000))

    def full(descriptor: int) -> None:
        if next(calls) > 7:
            raise OSError(28, "No space left on device")
        flush(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(InputError, match=r"cannot be written .*No space left.* --resume true"):
            train(config)
    assert [path.suffix for path in (config.output / "states").iterdir()] == [".pt"] * 2
    train(replace(config, resume=True))
    assert_same(config, undisturbed)
