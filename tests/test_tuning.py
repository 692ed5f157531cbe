"""The search: it names the best trial, goes on after being killed, stops hopeless trials and refuses what is wrong."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from PIL import Image

import grounding.training as training
import grounding.tuning as tuning
from grounding import InputError, load
from grounding.cli import parse
from grounding.config import ModelConfig
from grounding.decoder import DecoderConfig
from grounding.learner import Learner
from grounding.search_space import DEFAULT_SPACE, read_space, values_in_space, with_values
from grounding.train_config import TrainConfig
from grounding.training import train
from grounding.tuning import TuneConfig, trial_folder, tune
from tests.scripts import ROOT, assert_refused, run_script
from tests.tiny_clip import save_tiny_clip
from tests.toy_data import write_toy_data

Capture = pytest.CaptureFixture[str]
SPACE = {"learning_rate": {"low": 1e-4, "high": 1e-2, "log": True}, "decoder.width": [8, 16]}
SMALL = DecoderConfig(width=16, blocks=1, queries=2, query_dim=8, reader_layers=1)


@pytest.fixture(scope="module")
def toys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with toy data and a tiny CLIP; not to be changed."""
    root = tmp_path_factory.mktemp("toys")
    write_toy_data(root / "data")
    save_tiny_clip(root / "clip.pt")
    return root


@pytest.fixture
def config(toys: Path, tmp_path: Path) -> TuneConfig:
    model = ModelConfig(clip=str(toys / "clip.pt"), model_size=64, decoder=SMALL)
    return TuneConfig(toys / "data", tmp_path / "search", model=model, epochs=2, images_per_batch=3, warmup_steps=1,
                      device="cpu", trials=3, space=SPACE)  # fmt: skip


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the pictures, which take longer than a toy trial."""
    monkeypatch.setattr(tuning, "draw_study", lambda *_: {})


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "trials.csv").open() as file:
        return list(csv.DictReader(file))


def logged(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def scripted(monkeypatch: pytest.MonkeyPatch, scores: Iterator[float]) -> None:
    """Validation gives these scores, one an epoch."""

    def evaluate(*_: object, **__: object) -> dict[str, float]:
        return {"acc@0.5": next(scores), "miou": 0.25, "pointing": 0.5}

    monkeypatch.setattr(training, "evaluate", evaluate)


def dying_in_step(monkeypatch: pytest.MonkeyPatch, step: int, death: type[BaseException]) -> None:
    """Ends the process's trainings in the middle of their optimiser step `step`, counted over all of them from 0."""
    losses = Learner.forward
    calls = iter(range(step + 1))

    def dying(*arguments: Any) -> Any:
        if next(calls) == step:
            raise death
        return losses(*arguments)

    monkeypatch.setattr(Learner, "forward", dying)


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
    for name in ("optimization_history", "slices", "intermediate_values"):
        with Image.open(config.output / f"{name}.png") as picture:
            assert picture.width > 500 and len(picture.getcolors(1 << 24) or ()) > 10
    assert not (config.output / "param_importances.png").exists()  # too few trials


@pytest.mark.usefixtures("undrawn")
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


@pytest.mark.parametrize(("step", "death"), [(4, SystemExit), (7, KeyboardInterrupt)], ids=["epoch 1", "epoch 2"])
@pytest.mark.usefixtures("undrawn")
def test_a_killed_search_goes_on(
    config: TuneConfig, monkeypatch: pytest.MonkeyPatch, step: int, death: type[BaseException]
) -> None:
    with monkeypatch.context() as patch:  # two steps an epoch, four a trial: in trial 1
        dying_in_step(patch, step, death)
        with pytest.raises(death):
            tune(config)
    first = trial_folder(config.output, 0)
    before = {path: path.read_bytes() for path in first.rglob("*") if path.is_file()}
    killed = rows(config.output)
    assert [row["state"] for row in killed] == ["complete"]

    tune(config)
    assert {path: path.read_bytes() for path in first.rglob("*") if path.is_file()} == before
    table = rows(config.output)
    assert [row["state"] for row in table] == ["complete", "fail", "complete", "complete"]
    assert [row["retry_of"] for row in table] == ["", "", "1", ""]
    names = ("learning_rate", "model.decoder.width")
    assert [table[1][name] for name in names] == [table[2][name] for name in names]
    assert table[0]["trial"] == killed[0]["trial"] and table[0]["acc@0.5"] == killed[0]["acc@0.5"]
    assert table[2]["epochs"] == "2"
    # The repetition went on in the killed trial's run, and did no epoch twice.
    assert not trial_folder(config.output, 1).exists()
    assert [line["epoch"] for line in logged(trial_folder(config.output, 2))] == [1, 2]

    untouched = {path: path.stat().st_mtime_ns for path in config.output.rglob("metrics.jsonl")}
    tune(config)  # nothing is left to do
    assert {path: path.stat().st_mtime_ns for path in config.output.rglob("metrics.jsonl")} == untouched
    tune(replace(config, trials=4))
    assert [row["state"] for row in rows(config.output)] == ["complete", "fail", "complete", "complete", "complete"]
    assert len({row["learning_rate"] for row in rows(config.output)}) == 4  # no sampler began anew


@pytest.mark.usefixtures("undrawn")
def test_a_trial_is_repeated_only_once(config: TuneConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(2):
        with monkeypatch.context() as patch:
            dying_in_step(patch, 0, SystemExit)
            with pytest.raises(SystemExit):
                tune(config)
    tune(replace(config, trials=1))
    table = rows(config.output)
    assert [row["state"] for row in table] == ["fail", "fail", "complete"]
    assert [row["retry_of"] for row in table] == ["", "0", ""]
    assert table[2]["learning_rate"] != table[1]["learning_rate"] == table[0]["learning_rate"]


@pytest.mark.usefixtures("undrawn")
def test_sigkill(config: TuneConfig, toys: Path, tmp_path: Path) -> None:
    if not hasattr(signal, "SIGKILL"):
        pytest.skip("no SIGKILL on this system")
    settings = tuning.plain(config)
    file = tmp_path / "search.yaml"
    names = ("trials", "space", "prune_after", "keep_states", "resume")
    tune_section = {name: settings.pop(name) for name in names}
    file.write_text(yaml.safe_dump({"train": settings, "tune": tune_section}))
    command = [sys.executable, str(ROOT / "train.py"), "tune", "--config", str(file), "--trials", "50"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment)
    try:
        until = time.monotonic() + 60
        while not (trial_folder(config.output, 1) / "states").exists():
            assert process.poll() is None and time.monotonic() < until, process.stderr or b""
            time.sleep(0.05)
    finally:
        process.kill()
        process.communicate()
    kept = (trial_folder(config.output, 0) / "metrics.jsonl").read_bytes()

    tune(replace(config, trials=3))
    table = rows(config.output)
    assert [row["state"] for row in table].count("complete") == 3
    assert [row["state"] for row in table].count("fail") <= 1  # the signal may have come between two trials
    assert (trial_folder(config.output, 0) / "metrics.jsonl").read_bytes() == kept


@pytest.mark.usefixtures("undrawn")
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


def test_what_on_epoch_raises_ends_a_run_that_may_go_on(config: TuneConfig) -> None:
    run = TrainConfig(**{name: getattr(config, name) for name in TrainConfig.__dataclass_fields__})
    run = replace(run, resume=False)
    told: list[int] = []

    def stop(epoch: int, measures: dict[str, float]) -> None:
        told.append(epoch)
        assert measures["acc@0.5"] >= 0
        raise LookupError

    with pytest.raises(LookupError):
        train(run, on_epoch=stop)
    assert told == [1] and len(logged(run.output)) == 1
    train(replace(run, resume=True), on_epoch=lambda epoch, _: told.append(epoch))
    assert told == [1, 2] and [line["epoch"] for line in logged(run.output)] == [1, 2]


def test_importances_are_drawn_of_enough_trials(config: TuneConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    def pretend(trial: TrainConfig, *, on_epoch: Callable[[int, dict[str, float]], None]) -> dict[str, float]:
        measures = {"acc@0.5": 1 - abs(trial.learning_rate - 1e-3), "miou": 0.1, "pointing": 0.2}
        on_epoch(1, measures)
        return measures

    monkeypatch.setattr(tuning, "train", pretend)
    tune(replace(config, trials=9, prune_after=9))
    with Image.open(config.output / "param_importances.png") as picture:
        assert picture.width > 500
    # The start is the best by construction.
    assert yaml.safe_load((config.output / "best.yaml").read_text())["train"]["learning_rate"] == 1e-3


@pytest.mark.usefixtures("undrawn")
def test_a_trial_that_needs_too_much_memory_fails(config: TuneConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = iter(range(4))

    def pretend(trial: TrainConfig, **_: object) -> dict[str, float]:
        if next(numbers) % 2 == 1:
            raise torch.OutOfMemoryError
        return {"acc@0.5": 0.5, "miou": 0.4, "pointing": 0.6}

    monkeypatch.setattr(tuning, "train", pretend)
    assert tune(config).startswith("2 trials")
    assert [row["state"] for row in rows(config.output)] == ["complete", "fail", "complete"]
    assert tune(config).startswith("2 trials")
    assert [row["retry_of"] for row in rows(config.output)] == [""] * 4  # it would not fit the next time either


@pytest.mark.parametrize(
    ("space", "fragment"),
    [
        ({"learning_rat": [1, 2]}, "'learning_rat' is no setting"),
        ({"output": ["a", "b"]}, "'output' is no setting"),
        ({"validation_split": ["val", "test"]}, "'validation_split' is no setting"),
        ({"learning_rate": {"low": 0.1, "high": 0.01}}, "low is not below high"),
        ({"learning_rate": {"low": 0.0, "high": 0.01, "log": True}}, "learning_rate cannot be searched"),
        ({"learning_rate": {"low": 0.1}}, "neither a range nor choices"),
        ({"learning_rate": {"low": 0.1, "high": 0.2, "base": 2}}, "neither a range nor choices"),
        ({"learning_rate": {"low": "small", "high": 1}}, "learning_rate cannot be searched"),
        ({"learning_rate": 0.1}, "neither a range nor choices"),
        ({"learning_rate": []}, "learning_rate cannot be searched"),
        ({"phrases_per_image": {"low": 0, "high": 4}}, "phrases_per_image cannot be searched"),
        ({"phrases_per_image": {"low": 1.5, "high": 4}}, "whole number"),
        ({"decoder.width": ["wide"]}, r"model\.decoder\.width cannot be searched"),
        ({"decoder.width": [8], "model.decoder.width": [16]}, "there twice"),
        ({"model.inference_sizes": [[64], [96]]}, "single value"),
        ({"mixed_precision": {"low": 0, "high": 1}}, "it is no number"),
        ({"mixed_precision": ["no", "fp8"]}, "mixed_precision cannot be searched"),
    ],
)
def test_a_wrong_space_is_refused(config: TuneConfig, space: dict[str, Any], fragment: str) -> None:
    with pytest.raises(InputError, match=fragment) as refused:
        tune(replace(config, space=space))
    assert "\n" not in str(refused.value)
    assert not config.output.exists()


def test_spaces(config: TuneConfig) -> None:
    space = read_space(DEFAULT_SPACE, config)
    assert list(space) == list(DEFAULT_SPACE)
    defaults = TrainConfig(config.data, config.output)
    assert list(values_in_space(defaults, space)) == list(DEFAULT_SPACE)  # each is searched about its default
    assert "model.decoder.width" not in values_in_space(config, space)
    # As YAML reads numbers without a point.
    same = read_space({"learning_rate": {"low": "1e-4", "high": "1e-2", "log": True}}, config)
    assert same["learning_rate"] == space["learning_rate"]
    changed = with_values(config, {"model.decoder.width": 64, "augmentation.flip": True, "seed": 4})
    assert (changed.model.decoder.width, changed.augmentation.flip, changed.seed) == (64, True, 4)
    assert changed.model.decoder.blocks == config.model.decoder.blocks


@pytest.mark.usefixtures("undrawn")
def test_what_a_search_refuses(config: TuneConfig, tmp_path: Path) -> None:
    for wrong, fragment in (
        ({"validation_split": "test"}, "validation_split is 'test'"),
        ({"validation_split": "testA"}, "validation_split is 'testA'"),
        ({"split": "test"}, "split is 'test'"),
        ({"split": "training"}, "training"),
        ({"data": tmp_path / "nowhere"}, "nowhere"),
        ({"model": replace(config.model, clip=str(tmp_path / "no_clip.pt"))}, "no_clip"),
    ):
        with pytest.raises(InputError, match=fragment):
            tune(replace(config, **wrong))  # type: ignore[arg-type]
        assert not config.output.exists()

    tune(replace(config, trials=1, epochs=1))
    before = (config.output / "trials.csv").read_bytes()
    for wrong, fragment in (
        ({"epochs": 2}, "another epochs"),
        ({"epochs": 1, "space": {"learning_rate": [0.1]}}, "another space"),
        ({"epochs": 1, "resume": False}, "holds a study already"),
    ):
        with pytest.raises(InputError, match=fragment):
            tune(replace(config, trials=2, **wrong))  # type: ignore[arg-type]
    assert (config.output / "trials.csv").read_bytes() == before
    (config.output / "study.db").write_text("words, and no database\n" * 50)
    with pytest.raises(InputError, match=r"study\.db cannot be read"):
        tune(replace(config, trials=1, epochs=1))


def test_from_the_command_line(config: TuneConfig, tmp_path: Path, capsys: Capture) -> None:
    helped = run_script(capsys, "train.py", "tune", "--help")
    assert helped.code == 0 and "study folder" in helped.out and "root folder of" in helped.out
    assert "train.py tune" in run_script(capsys, "train.py", "--help").out

    model = {"clip": config.model.clip, "model_size": 64, "decoder": {"width": 16, "blocks": 1}}
    file = tmp_path / "experiment.yaml"
    train_section = {
        "data": str(config.data),
        "output": str(tmp_path / "run"),
        "device": "cpu",
        "epochs": 1,
        "model": model,
    }
    file.write_text(yaml.safe_dump({"train": train_section, "tune": {"trials": 9, "space": SPACE}}))
    words = ["train.py", "tune", "--config", file, "--output", config.output, "--trials", 1]
    outcome = run_script(capsys, *map(str, words))
    assert outcome.code == 0, outcome
    assert "1 trials" in outcome.out and not (tmp_path / "run").exists()
    assert "model.decoder.width 16" in outcome.out
    wrong = run_script(capsys, *map(str, words), "--space", '{"learning_rat": [0.1]}')
    assert_refused(wrong, "learning_rat", "learning_rate")
    assert_refused(run_script(capsys, *map(str, words), "--validation_split", "test"), "validation_split")
