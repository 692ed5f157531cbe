"""Two processes that share every batch end with the weights of one, whoever resumes whose run."""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from grounding.methods.config import ModelConfig
from grounding.runtime.distributed import is_main
from grounding.runtime.signals import Stopped
from grounding.training.config import TrainConfig
from grounding.training.run_folder import RunFolder
from grounding.training.train import train
from tests.ended import ending_both, no_space
from tests.processes import in_processes, largest_difference, newest_state
from tests.scripts import ROOT
from tests.tiny_clip import save_tiny_clip
from tests.toy_data import write_toy_data
from tests.training.runs import (
    ALL_LOSSES,
    AUGMENTED,
    SMALL,
    Killed,
    at_step,
    killed_after,
    logged,
    signalled,
    state_names,
)

KINDS = ("convolutional", "adapters")
IMAGES, IMAGES_PER_BATCH, EPOCHS = 15, 4, 3  # 4 steps an epoch, the last one filled up
KILLED_AFTER = 7  # steps: in the middle of the second epoch
AS_ONE = 1e-5


def killed(config: TrainConfig) -> None:
    """Trains until the process is killed in the middle of a step."""
    with pytest.MonkeyPatch.context() as patch:
        killed_after(patch, KILLED_AFTER)
        with pytest.raises(Killed):
            train(config)


def together(configs: Sequence[TrainConfig], dying: TrainConfig, stopped: TrainConfig, failing: TrainConfig) -> None:
    """What each of two processes does, one thing after the other: to start two of them takes longest."""
    torch.set_num_threads(1)
    for config in configs:
        train(config)
    killed(dying)
    stopped_by_one(stopped)
    failing_in_the_main_process(failing)


def stopped_by_one(config: TrainConfig) -> None:
    """Trains until the second process, and it alone, is asked to stop."""
    with pytest.MonkeyPatch.context() as patch:
        if not is_main():
            at_step(patch, 3, signalled(signal.SIGTERM))
        with pytest.raises(Stopped, match="after step 3"):
            train(config)


def failing_in_the_main_process(config: TrainConfig) -> None:
    """Trains until the main process, and it alone, cannot write or read a file."""
    for name in ("log_start", "log_step", "save_decoder", "log_validation", "save_state", "newest_state"):
        run = config.output / name
        with ending_both(run.with_name(f"{name}_ended")), pytest.MonkeyPatch.context() as patch:
            if is_main():
                patch.setattr(RunFolder, name, no_space)
            train(replace(config, output=run))


def uneven_data(root: Path) -> Path:
    """Toy data in which every other image has fewer phrases."""
    path = write_toy_data(root, {"train": IMAGES, "val": 1}) / "annotations" / "refs(umd).p"
    refs = pickle.loads(path.read_bytes())
    for ref in refs:
        if ref["image_id"] % 2:
            ref.update(sentences=ref["sentences"][:1], sent_ids=ref["sent_ids"][:1])
    path.write_bytes(pickle.dumps(refs, protocol=2))
    return root


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> TrainConfig:
    folder = tmp_path_factory.mktemp("processes")
    model = ModelConfig(clip=str(save_tiny_clip(folder / "clip.pt")), model_size=64, decoder=SMALL)
    return TrainConfig(
        uneven_data(folder / "data"), folder / "run", model=model, losses=ALL_LOSSES, composed_per_image=1,
        epochs=EPOCHS, patience=EPOCHS, images_per_batch=IMAGES_PER_BATCH, warmup_steps=5, device="cpu", save_every=1,
        augmentation=AUGMENTED,
    )  # fmt: skip


@pytest.fixture(scope="module")
def runs(config: TrainConfig) -> Path:
    """The folder of all runs: by one process, by two, begun by the one and ended by the others, stopped, failed."""
    folder = config.output.parent
    by_one, by_two = (
        [replace(config, output=folder / f"{name}_{kind}",
                 model=replace(config.model, decoder=replace(SMALL, kind=kind)))
         for kind in KINDS]
        for name in ("one", "two")
    )  # fmt: skip
    one_then_two, two_then_one = (replace(config, output=folder / name) for name in ("one_then_two", "two_then_one"))
    for each in by_one:
        train(each)
    killed(one_then_two)
    stopped, failing = replace(config, output=folder / "stopped", save_every=100), replace(config, output=folder)
    in_processes(2, together, [*by_two, replace(one_then_two, resume=True)], two_then_one, stopped, failing)
    train(replace(two_then_one, resume=True))
    return folder


@pytest.mark.parametrize("kind", KINDS)
def test_two_processes_equal_one(runs: Path, kind: str) -> None:
    one, two = runs / f"one_{kind}", runs / f"two_{kind}"
    assert largest_difference(one, two) < AS_ONE
    alone, shared = (logged(folder) for folder in (one, two))
    assert set(shared) == set(alone) > {"contrast_loss", "learning_rate"}
    for name, series in alone.items():  # the whole batch's, in the steps that have such a loss
        assert shared[name] == pytest.approx(series, rel=1e-4, abs=1e-6), name
    assert list(shared["total_loss"]) == list(range(1, 13))


@pytest.mark.parametrize("name", ["one_then_two", "two_then_one"])
def test_a_killed_run_is_ended_by_another_number_of_processes(runs: Path, name: str) -> None:
    assert largest_difference(runs / "one_convolutional", runs / name) < AS_ONE
    epochs = [json.loads(line)["epoch"] for line in (runs / name / "metrics.jsonl").read_text().splitlines()]
    assert epochs == [1, 2, 3]


def test_a_signal_to_one_process_ends_both_after_the_same_step(runs: Path) -> None:
    assert state_names(runs / "stopped")[-1] == "00000003-0000"


def test_a_failure_in_the_main_process_ends_both(runs: Path) -> None:
    """`failing_in_the_main_process` has seen it; the epoch whose decoder was not written is not taken for finished."""
    assert newest_state(runs / "save_decoder")["progress"]["epoch"] == 0


def test_the_main_process_alone_writes(runs: Path) -> None:
    assert state_names(runs / "two_convolutional") == state_names(runs / "one_convolutional")
    assert len(list((runs / "two_convolutional").glob("*tfevents*"))) == 1
    assert len((runs / "two_convolutional" / "metrics.jsonl").read_text().splitlines()) == EPOCHS


def test_an_image_that_one_process_cannot_read_ends_both_with_one_sentence(config: TrainConfig, tmp_path: Path) -> None:
    data = write_toy_data(tmp_path / "data", {"train": 4, "val": 1})
    broken = sorted((data / "images").iterdir())[0]
    broken.write_bytes(b"no image")
    launched = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(ROOT / "train.py"),
         "--data", str(data), "--output", str(tmp_path / "run"), "--model.clip", config.model.clip,
         "--model.model_size", "64", "--device", "cpu", "--images_per_batch", "2", "--warmup_steps", "1"],
        capture_output=True, text=True, timeout=120, cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert launched.returncode != 0
    assert launched.stderr.count("error: ") == 1, launched.stderr
    [sentence] = [line for line in launched.stderr.splitlines() if "error: " in line]
    assert broken.name in sentence
    assert launched.stdout.count("training on 4 images") == 1
