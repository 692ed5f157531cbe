"""The search names its best trial, stops hopeless ones, and goes on where it was ended."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
import torch
import yaml
from optuna.exceptions import StorageInternalError

import grounding.training.search as tuning
from grounding import InputError
from grounding.model.decoder import DecoderConfig
from grounding.runtime.cli import parse
from grounding.runtime.errors import SettingsError
from grounding.training.config import TrainConfig
from grounding.training.search import DEFAULT_SPACE, TuneConfig, read_space, tune
from grounding.training.train import train
from tests.training.runs import decoder_of, equal, killed_after

SPACE = {"learning_rate": {"low": "1e-4", "high": 1e-2, "log": True}, "model.decoder.width": [8, 16]}


@pytest.fixture
def search(config: TrainConfig) -> TuneConfig:
    """Three trials of six steps in two epochs each; the first one is the run of `config`."""
    return TuneConfig(**{**vars(config), "output": config.output.with_name("search"), "resume": True}, trials=3,
                      space=SPACE)  # fmt: skip


def rows(search: TuneConfig) -> list[dict[str, str]]:
    with (search.output / "trials.csv").open() as file:
        return list(csv.DictReader(file))


def states(search: TuneConfig) -> list[str]:
    return [row["state"] for row in rows(search)]


def trial(search: TuneConfig, number: int) -> Path:
    return search.output / f"trial_{number:04d}"


def scripted(monkeypatch: pytest.MonkeyPatch, *scores: tuple[float, ...]) -> None:
    """In the place of trainings: each trial's validation gives these scores, one an epoch."""
    trials = iter(scores)

    def pretend(_: TrainConfig, *, on_epoch: Callable[[int, dict[str, float]], None]) -> dict[str, float]:
        given = next(trials)
        for epoch, score in enumerate(given, start=1):
            on_epoch(epoch, {"acc@0.5": score})
        return {"acc@0.5": max(given)}

    monkeypatch.setattr(tuning, "train", pretend)


def test_the_best_trial_can_be_used_and_repeated(search: TuneConfig, undisturbed: TrainConfig) -> None:
    said = tune(search)

    assert states(search) == ["COMPLETE"] * 3
    for number, row in enumerate(rows(search)):
        folder = trial(search, number)
        saved = yaml.safe_load((folder / "config.yaml").read_text())
        assert saved["learning_rate"] == float(row["params_learning_rate"])
        assert saved["model"]["decoder"]["width"] == int(row["params_model.decoder.width"])
        measured = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
        assert float(row["value"]) == max(each["acc@0.5"] for each in measured)
        assert [each["epoch"] for each in measured] == [1, 2]
        assert not (folder / "states").exists()
    assert equal(decoder_of(undisturbed.output), decoder_of(trial(search, 0))), "first the configuration itself"
    assert len({row["params_learning_rate"] for row in rows(search)}) == 3

    best = max(range(3), key=lambda number: float(rows(search)[number]["value"]))
    assert str(trial(search, best)) in said
    repeated = parse(TrainConfig, "train", ["--config", str(search.output / "best.yaml")])
    assert repeated.output == search.output / "best" and not repeated.resume
    train(repeated)
    logs = [(run / "metrics.jsonl").read_text() for run in (repeated.output, trial(search, best))]
    assert logs[0] == logs[1]


def test_a_trial_behind_the_median_is_stopped(search: TuneConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    first = [(0.1, 0.3, 0.4 + number / 10) for number in range(5)]
    scripted(monkeypatch, *first, (0.2, 0.2, 0.9), (0.2, 0.3, 0.1), (0.1, 0.3, 0.95))
    said = tune(replace(search, trials=8, epochs=3))
    # One is behind after its second epoch; one only in its last epoch, when it has finished.
    assert states(search) == ["COMPLETE"] * 5 + ["PRUNED", "COMPLETE", "COMPLETE"]
    assert [row["value"] for row in rows(search)[4:]] == ["0.8", "0.2", "0.3", "0.95"]
    assert "8 trials" in said and "0.950" in said and "trial_0007" in said


def test_a_killed_trial_goes_on_and_others_are_left_alone(search: TuneConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = replace(search, output=search.output.with_name("whole"))
    tune(whole)
    # Three steps an epoch, six a trial: twice in the second epoch of trial 1, first killed, then by a disk.
    for steps, death in ((10, KeyboardInterrupt()), (1, InputError("the disk is full"))):
        with monkeypatch.context() as patch:
            killed_after(patch, steps, death)
            with pytest.raises(type(death)):
                tune(search)
        assert states(search) == ["COMPLETE"] and not trial(search, 2).exists()
    first = trial(search, 0)
    before = {path: path.read_bytes() for path in first.rglob("*") if path.is_file()}

    tune(search)
    assert {path: path.read_bytes() for path in first.rglob("*") if path.is_file()} == before
    assert rows(search) == rows(whole)
    tune(replace(search, trials=4))
    assert rows(search)[:3] == rows(whole) and states(search) == ["COMPLETE"] * 4
    assert len({row["params_learning_rate"] for row in rows(search)}) == 4, "no sampler began anew"


@pytest.mark.parametrize(
    ("error", "space"),
    [(torch.OutOfMemoryError(), {}), (SettingsError("no finite loss"), {}), (None, {"model.model_size": [80]})],
)
def test_bad_values_fail_their_trial_alone(
    search: TuneConfig, monkeypatch: pytest.MonkeyPatch, error: Exception | None, space: dict[str, Any]
) -> None:
    search = replace(search, trials=1, space=space or SPACE)
    with monkeypatch.context() as patch:
        if error is not None:
            killed_after(patch, 0, error)
        tune(search)
    assert states(search) == ["FAIL"]
    if error is not None:
        assert tune(search).startswith("1 trials; best validation")
        assert states(search) == ["FAIL", "COMPLETE"]


@pytest.mark.parametrize(
    ("space", "said"),
    [
        ({"learning_rat": [1, 2]}, "no setting 'learning_rat'"),
        ({"model.decoder.kind": ["convolutional", "adapters"]}, "'model.decoder.kind' cannot be compared"),
        ({"learning_rate": {"low": 0.1}}, "learning_rate cannot be searched .*'high'"),
        ({"learning_rate": {"low": "small", "high": 1}}, "learning_rate cannot be searched .*'small'"),
        ({"learning_rate": []}, "learning_rate cannot be searched"),
        ({"learning_rate": [0.1, -1]}, "learning_rate is -1"),
        ({"phrases_per_image": {"low": 1.5, "high": 4}}, "phrases_per_image is 1.5"),
        ({"model.decoder.width": ["wide"]}, r"model\.decoder\.width is 'wide'"),
        ({"augmentation.flip": {"low": 0, "high": 1}}, "augmentation.flip cannot be searched"),
    ],
)
def test_a_wrong_space_is_refused(search: TuneConfig, space: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said) as refused:
        tune(replace(search, space=space))
    assert "\n" not in str(refused.value)
    assert not search.output.exists()


def test_every_setting_of_the_default_space_is_searched_about_its_default(config: TrainConfig) -> None:
    space, first = read_space({}, TrainConfig(config.data, config.output))
    assert list(space) == list(first) == list(DEFAULT_SPACE)
    space, first = read_space({}, config)
    assert "model.decoder.width" in space and "model.decoder.width" not in first, "whose own 16 is below the range"
    adapters = replace(config, model=replace(config.model, decoder=DecoderConfig(kind="adapters")))
    assert list(read_space({}, adapters)[0]) == ["learning_rate", "weight_decay", "ema_decay", "phrases_per_image"]


def test_what_a_search_refuses(search: TuneConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(said: str, **wrong: Any) -> None:
        with pytest.raises(InputError, match=said):
            tune(replace(search, **wrong))

    refused("validation_split is 'testA'", validation_split="testA")
    refused("split is 'test'", split="test")
    refused("nowhere", data=tmp_path / "nowhere")
    refused("give a folder without", output=tmp_path / "what?" / "now")
    refused("no_clip", model=replace(search.model, clip=str(tmp_path / "no_clip.pt")))
    assert not search.output.exists()
    search = replace(search, trials=1, epochs=1)
    tune(search)
    before = (search.output / "trials.csv").read_bytes()
    refused("another epochs", epochs=2)
    refused("another space", space={"learning_rate": [0.1]})
    refused("holds a study already", resume=False)
    assert (search.output / "trials.csv").read_bytes() == before
    full = StorageInternalError()
    full.__cause__ = OSError("database or disk is full")
    with monkeypatch.context() as patch:
        patch.setattr(tuning, "_run_trial", Mock(side_effect=full))
        refused(r"study\.db cannot be used \(database or disk is full\)", trials=2)
    (search.output / "study.db").write_text("words, and no database\n" * 50)
    refused(r"study\.db cannot be used")
