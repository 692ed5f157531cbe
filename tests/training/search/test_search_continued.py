"""A search or trial that was ended goes on where it was, and a trial that fails costs no other."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from accelerate import Accelerator
from optuna.exceptions import StorageInternalError

import grounding.training.search as tuning
from grounding import InputError, RefCOCOg
from grounding.training.config import TrainConfig
from grounding.training.search import TuneConfig, trial_folder, tune
from grounding.training.train import train
from tests.killed import killed_after
from tests.scripts import ROOT
from tests.training.disturbing import at_step, not_a_number
from tests.training.search.searches import logged, rows


def test_a_killed_search_goes_on(config: TuneConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:  # two steps an epoch, four a trial: in the second epoch of trial 1
        killed_after(patch, 7, KeyboardInterrupt)
        with pytest.raises(KeyboardInterrupt):
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


def test_a_trial_is_repeated_only_once(config: TuneConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(2):
        with monkeypatch.context() as patch:
            killed_after(patch, 0, SystemExit)
            with pytest.raises(SystemExit):
                tune(config)
    tune(replace(config, trials=1))
    table = rows(config.output)
    assert [row["state"] for row in table] == ["fail", "fail", "complete"]
    assert [row["retry_of"] for row in table] == ["", "0", ""]
    assert table[2]["learning_rate"] != table[1]["learning_rate"] == table[0]["learning_rate"]


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


def full_disk(monkeypatch: pytest.MonkeyPatch, state: int) -> None:
    """No state but the first `state` ones can be written."""
    save, numbers = Accelerator.save_state, iter(range(1000))

    def saving(*arguments: Any, **options: Any) -> Any:
        if next(numbers) >= state:
            raise OSError(errno.ENOSPC, "No space left on device")
        return save(*arguments, **options)

    monkeypatch.setattr(Accelerator, "save_state", saving)


def test_a_full_disk_is_not_held_against_the_trial(config: TuneConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    for states in (7, 1, 0):  # in trial 1 when it has finished an epoch; in its repetitions; never to be counted
        with monkeypatch.context() as patch:
            full_disk(patch, states)
            with pytest.raises(InputError, match=r"cannot be written \(.*No space left.*make room"):
                tune(config)
    assert sum(path.is_dir() for path in config.output.glob("trial_*")) == 2  # no further trial was started
    said = tune(config)
    assert said.startswith("3 trials")
    table = rows(config.output)
    assert [row["state"] for row in table] == ["complete", "fail", "fail", "fail", "complete", "complete"]
    assert [row["retry_of"] for row in table] == ["", "", "1", "2", "3", ""]
    assert len({row["learning_rate"] for row in table[1:5]}) == 1
    assert [line["epoch"] for line in logged(trial_folder(config.output, 4))] == [1, 2]
    assert not trial_folder(config.output, 1).exists()


def test_a_broken_image_is_not_held_against_the_trial(config: TuneConfig, tmp_path: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(config.data, data)
    refs = RefCOCOg(data, "train", group_by="image")
    image = refs.expressions[0].image_path
    whole = image.read_bytes()
    image.write_bytes(b"no image")
    config = replace(config, data=data)
    for _ in range(3):
        with pytest.raises(InputError, match=image.name):
            tune(config)
    assert len(list(config.output.glob("trial_*"))) == 1
    image.write_bytes(whole)
    assert tune(replace(config, trials=2)).startswith("2 trials")
    assert [row["retry_of"] for row in rows(config.output)] == ["", "0", "1", "2", ""]


def test_a_full_disk_under_the_study_is_said_in_a_sentence(config: TuneConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_: object, **__: object) -> None:
        raise StorageInternalError from OSError("database or disk is full")

    monkeypatch.setattr(tuning, "_requeue_killed", failing)
    with pytest.raises(InputError, match=r"study\.db cannot be written \(database or disk is full\)"):
        tune(config)


def test_settings_that_do_not_go_together_fail_their_trial_alone(config: TuneConfig) -> None:
    space = {"learning_rate": [config.learning_rate], "model.model_size": {"low": 64, "high": 96, "step": 16}}
    config = replace(config, space=space, trials=1, epochs=1)
    tune(config)
    for _ in range(20):
        tune(replace(config, trials=len(rows(config.output)) + 1))
        if any(row["state"] == "fail" for row in rows(config.output)):
            break
    failed = [row for row in rows(config.output) if row["state"] == "fail"]
    assert {row["model.model_size"] for row in failed} == {"80"}
    assert [row["retry_of"] for row in failed] == [""] * len(failed)


def test_training_that_does_not_converge_fails_its_trial_alone(
    config: TuneConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        at_step(patch, 1, not_a_number, until=2)
        tune(replace(config, most_skipped=2, trials=2))
    assert [row["state"] for row in rows(config.output)] == ["fail", "complete"]
