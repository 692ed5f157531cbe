"""Steps without finite numbers change nothing, are named, and end training where there are too many."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from grounding import InputError
from grounding.training.config import TrainConfig
from grounding.training.train import train
from tests.training.disturbing import at_step, not_a_number
from tests.training.runs import Losses, weights


def test_steps_without_finite_numbers_change_nothing(config: TrainConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    config = replace(config, most_skipped=7, last_states=100)
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
