"""The search names its best trial, stops hopeless ones, and draws what mattered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image

import grounding.training.search as tuning
from grounding import load
from grounding.runtime.cli import parse
from grounding.training.config import TrainConfig
from grounding.training.search import TuneConfig, trial_folder, tune
from grounding.training.train import train
from grounding.visualization.search_plots import draw_search
from tests.training.search.searches import logged, rows, scripted

Capture = pytest.CaptureFixture[str]


def test_a_search_finds_its_best_trial(config: TuneConfig, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    scripted(monkeypatch, iter([0.1, 0.2, 0.7, 0.6, 0.3, 0.5]))
    said = tune(config)

    runs = [trial_folder(config.output, number) for number in range(3)]
    reached = [max(line["acc@0.5"] for line in logged(run)) for run in runs]
    assert reached == [0.2, 0.7, 0.5]
    table = rows(config.output)
    assert [float(row["acc@0.5"]) for row in table] == reached
    assert [row["state"] for row in table] == ["complete"] * 3
    assert "3 trials" in said and "0.700" in said and str(runs[1]) in said

    # The first has the configuration's own values; all have what the table says.
    assert float(table[0]["learning_rate"]) == config.learning_rate
    for run, row in zip(runs, table, strict=True):
        saved = yaml.safe_load((run / "config.yaml").read_text())
        assert saved["learning_rate"] == float(row["learning_rate"])
        assert saved["model"]["decoder"]["width"] == int(row["model.decoder.width"])
        assert not (run / "states").exists()
    assert len({row["learning_rate"] for row in table}) == 3
    image = next((config.data / "images").iterdir())
    assert load(runs[1]).ground(image, ["the red box"])[0].phrase == "the red box"

    printed = capsys.readouterr().out
    assert "trial 1 finished: validation acc@0.5 0.700, miou 0.250, pointing 0.500 (best so far)" in printed
    assert printed.count("learning_rate") == 3
    draw_search(config.output)
    for name in ("optimization_history", "slices", "intermediate_values"):
        with Image.open(config.output / f"{name}.png") as picture:
            assert picture.width > 500 and len(picture.getcolors(1 << 24) or ()) > 10
    assert not (config.output / "param_importances.png").exists()  # too few trials


def test_the_best_can_be_repeated(config: TuneConfig, tmp_path: Path) -> None:
    tune(replace(config, trials=2))
    reached = [max(line["acc@0.5"] for line in logged(trial_folder(config.output, number))) for number in range(2)]
    best = trial_folder(config.output, reached.index(max(reached)))
    from_file = parse(TrainConfig, "train", ["--config", str(config.output / "best.yaml")])
    assert from_file.output == config.output / "best" and not from_file.resume
    saved = yaml.safe_load((best / "config.yaml").read_text())
    assert training_settings(from_file) == {name: saved[name] for name in saved if name not in ("output", "resume")}
    train(from_file)
    assert logged(from_file.output) == logged(best)


def training_settings(config: TrainConfig) -> dict[str, Any]:
    settings: dict[str, Any] = tuning.plain(config)
    return {name: value for name, value in settings.items() if name not in ("output", "resume")}


def test_a_trial_behind_the_median_is_stopped(config: TuneConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    # Trial 2 is behind both others after its second epoch; trial 3 is so only in its last epoch, when it has finished.
    scripted(monkeypatch, iter([0.1, 0.6, 0.7, 0.1, 0.4, 0.5, 0.1, 0.2, 0.1, 0.55, 0.4]))
    config = replace(config, trials=4, epochs=3, patience=3, prune_after=2)
    tune(config)
    states = [row["state"] for row in rows(config.output)]
    assert states == ["complete", "complete", "pruned", "complete"]
    assert [len(logged(trial_folder(config.output, number))) for number in range(4)] == [3, 3, 2, 3]
    assert [row["acc@0.5"] for row in rows(config.output)] == ["0.7", "0.5", "0.2", "0.55"]
    load(trial_folder(config.output, 2))  # a stopped trial is a run folder too
    assert not (trial_folder(config.output, 2) / "states").exists()


def test_importances_are_drawn_of_enough_trials(config: TuneConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    def pretend(trial: TrainConfig, *, on_epoch: Callable[[int, dict[str, float]], None]) -> dict[str, float]:
        measures = {"acc@0.5": 1 - abs(trial.learning_rate - 1e-3), "miou": 0.1, "pointing": 0.2}
        on_epoch(1, measures)
        return measures

    monkeypatch.setattr(tuning, "train", pretend)
    tune(replace(config, trials=9, prune_after=9))
    draw_search(config.output)
    with Image.open(config.output / "param_importances.png") as picture:
        assert picture.width > 500
    # The start is the best by construction.
    assert yaml.safe_load((config.output / "best.yaml").read_text())["train"]["learning_rate"] == 1e-3
