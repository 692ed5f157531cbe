"""Pairs that are streamed from tar files are enough to train on, and a killed training goes on to the same weights."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from grounding.data import tar_samples
from grounding.training.config import TrainConfig
from tests.scripts import assert_refused, run_script
from tests.tar_files import jpeg, write_tar
from tests.training.runs import assert_killed_and_resumed_equals_uninterrupted

pytest.importorskip("webdataset", reason="needs pip install -r requirements-ray.txt")


@pytest.fixture
def streamed(unboxed: TrainConfig, monkeypatch: pytest.MonkeyPatch) -> TrainConfig:
    """Six steps in two epochs; phrases are shared by images, and drawn."""
    monkeypatch.setattr(tar_samples, "SHUFFLED", 3)
    folder = unboxed.data.with_name("pairs")
    folder.mkdir()
    for start in (0, 3):
        write_tar(folder / f"{start}.tar", {f"{number}": (jpeg(number), f"thing {number}\na dog\nthing {number // 2}")
                                            for number in range(start, start + 3)})  # fmt: skip
    return replace(unboxed, data=folder, phrases_per_image=2)


def test_killed_and_resumed_to_the_last_bit(streamed: TrainConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    assert_killed_and_resumed_equals_uninterrupted(streamed, monkeypatch, 4)


def test_from_the_command_line(streamed: TrainConfig, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ("--data", streamed.data, "--output", tmp_path / "two", "--device", "cpu", "--epochs", 1, "--model.clip",
               streamed.model.clip, "--model.model_size", 64, "--images_per_batch", 2)  # fmt: skip
    assert_refused(run_script(capsys, "train.py", *options), "without boxes", "decoder.kind adapters")
    trained = run_script(capsys, "train.py", *options, "--model.decoder.kind", "adapters", "--validation_data",
                         tmp_path / "data")  # fmt: skip
    assert trained.code == 0, trained
    assert "training on 6 images" in trained.out
    assert (tmp_path / "two" / "decoder.safetensors").is_file()
