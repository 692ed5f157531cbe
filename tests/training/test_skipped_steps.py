"""Steps without finite numbers change nothing, are named, and end training where there are too many."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace

import pytest
import torch
from accelerate import Accelerator
from safetensors.torch import load_file

import grounding.training.train as training
from grounding import InputError
from grounding.training.config import TrainConfig
from grounding.training.train import train
from tests.training.disturbing import at_step, not_a_number
from tests.training.runs import Losses, weights


def test_steps_without_finite_numbers_change_nothing(config: TrainConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    config = replace(config, most_skipped=7, save_every=1, last_states=100)
    with monkeypatch.context() as patch:
        at_step(patch, 1, not_a_number, until=6)
        train(config)
    states = sorted((config.output / "states").iterdir())
    assert len(states) > 6
    states = [states[0], states[-1]]
    first, last = (load_file(path / "mean.safetensors") for path in states)
    assert set(first) == set(last) and all(torch.equal(first[name], last[name]) for name in first)


def test_skipped_steps_are_counted_and_named(
    config: TrainConfig, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def endless(losses: Losses) -> Losses:
        return {name: value * 1e38 * 1e10 for name, value in losses.items()}

    with monkeypatch.context() as patch:
        at_step(patch, 2, endless, until=3)
        train(config)
    assert "2 steps so far had no finite loss or gradient" in capsys.readouterr().out
    assert all(value.isfinite().all() for value in weights(config.output).values())
    lines = [json.loads(line) for line in (config.output / "skipped.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [2, 3]
    with (config.data / "annotations" / "refs(umd).p").open("rb") as file:
        said = {}
        for ref in pickle.load(file):
            said.setdefault(ref["image_id"], set()).update(each["sent"] for each in ref["sentences"])
    for line in lines:
        [batch] = line["batch"]
        assert len(batch["image_ids"]) == 2
        assert set(batch["phrases"]) <= set.union(*(said[image_id] for image_id in batch["image_ids"]))


def test_too_many_skipped_steps_end_it(config: TrainConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    at_step(monkeypatch, 2, not_a_number, until=100)
    with pytest.raises(InputError, match=r"3 steps in a row had no finite loss .*skipped\.jsonl"):
        train(replace(config, most_skipped=3))
    assert len((config.output / "skipped.jsonl").read_text().splitlines()) == 3


class Scaled(Accelerator):
    """On the CPU, with the gradient scaler that float16 has on a GPU."""

    first_scale = 2.0**16

    def __init__(self, **options: object) -> None:
        super().__init__(**options)
        self.scaler = torch.amp.GradScaler("cpu", init_scale=self.first_scale)


def with_infinite_gradient(losses: Losses) -> Losses:
    """The same losses."""
    for value in losses.values():
        if value.requires_grad:
            value.register_hook(lambda gradient: gradient * torch.inf)
    return losses


def test_steps_by_which_a_scaler_finds_its_scale_are_not_broken(
    config: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "Accelerator", Scaled)
    at_step(monkeypatch, 1, with_infinite_gradient, until=4)
    train(replace(config, most_skipped=2))
    assert not (config.output / "skipped.jsonl").exists()
    states = {path.name: path for path in (config.output / "states").iterdir()}
    progress = json.loads((states["00000006-0002"] / "progress.json").read_text())
    assert (progress["step"], progress["skipped"]) == (6, 0)
    averaged = load_file(states["00000006-0002"] / "mean.safetensors")["n_averaged"]
    assert averaged == 2  # the steps that changed something


def test_a_scaler_that_finds_no_scale_ends_it(config: TrainConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "Accelerator", Scaled)
    monkeypatch.setattr(Scaled, "first_scale", 2.0)  # then 1, then 1/2
    at_step(monkeypatch, 1, with_infinite_gradient, until=100)
    with pytest.raises(InputError, match="3 steps in a row"):
        train(replace(config, most_skipped=3))
    lines = (config.output / "skipped.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [3, 4, 5]


def test_a_loss_that_is_no_number_is_broken_with_a_scaler_too(
    config: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "Accelerator", Scaled)
    at_step(monkeypatch, 1, not_a_number, until=100)
    with pytest.raises(InputError, match="2 steps in a row"):
        train(replace(config, most_skipped=2))
