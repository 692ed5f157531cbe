"""Steps without finite numbers change nothing, are named, and end training where there are too many."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from accelerate import Accelerator

import grounding.training.train as training
from grounding import InputError
from grounding.data.refcocog import RefCOCOg
from grounding.training.config import TrainConfig
from grounding.training.train import train
from tests.processes import newest_state
from tests.training.runs import Losses, at_step, equal, not_a_number


def test_skipped_steps_change_nothing_and_are_counted_and_named(
    config: TrainConfig, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def endless(losses: Losses) -> Losses:
        return {name: value * 1e38 * 1e10 for name, value in losses.items()}

    config = replace(config, save_every=1, last_states=100)
    with monkeypatch.context() as patch:
        at_step(patch, 2, endless, until=3)
        train(config)
    assert "2 steps so far had no finite loss or gradient" in capsys.readouterr().out
    states = {path.name[:13]: torch.load(path, weights_only=True) for path in (config.output / "states").iterdir()}
    before, after, last = (states[name] for name in ("00000001-0000", "00000003-0000", "00000006-0002"))
    assert equal(before["weights"], after["weights"]) and equal(before["mean"], after["mean"])
    assert not equal(after["weights"], last["weights"]) and last["progress"]["skipped"] == 2
    lines = [json.loads(line) for line in (config.output / "skipped.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [2, 3]
    dataset = RefCOCOg(config.data, "train")
    for line in lines:
        [batch] = line["batch"]
        assert len(batch["image_ids"]) == 2
        said = {each.phrase for each in dataset.expressions if each.image_id in batch["image_ids"]}
        assert set(batch["phrases"]) <= said


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
    state = newest_state(config.output)
    assert (state["progress"]["step"], state["progress"]["skipped"]) == (6, 0)
    assert state["mean"]["n_averaged"] == 2  # the steps that changed something
    assert state["scaler"]["scale"] == Scaled.first_scale / 2**4


@pytest.mark.parametrize(
    ("scale", "broken", "skipped"),
    [(2.0, with_infinite_gradient, [3, 4, 5]),  # after scales of 1 and 1/2
     (2.0**16, not_a_number, [1, 2, 3])],
)  # fmt: skip
def test_what_no_scale_mends_ends_it(
    config: TrainConfig, monkeypatch: pytest.MonkeyPatch, scale: float, broken: Callable[[Losses], Losses],
    skipped: list[int],
) -> None:  # fmt: skip
    monkeypatch.setattr(training, "Accelerator", Scaled)
    monkeypatch.setattr(Scaled, "first_scale", scale)
    at_step(monkeypatch, 1, broken, until=100)
    with pytest.raises(InputError, match=r"3 steps in a row had no finite loss .*skipped\.jsonl"):
        train(replace(config, most_skipped=3))
    lines = (config.output / "skipped.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == skipped
