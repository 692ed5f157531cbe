"""The run folder: what it holds, that it loads, and that no other run is made in it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

from grounding import InputError, load
from grounding.runtime import files
from grounding.training.config import TrainConfig
from grounding.training.run_folder import RunFolder
from grounding.training.train import train
from tests.scripts import ROOT
from tests.tiny_clip import save_tiny_clip
from tests.training.runs import SMALL


def test_run_folder(undisturbed: TrainConfig) -> None:
    run = undisturbed.output
    saved = yaml.safe_load((run / "config.yaml").read_text())
    assert saved["model"]["decoder"]["width"] == SMALL.width and saved["data"] == str(undisturbed.data)
    epochs = [json.loads(line)["epoch"] for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert epochs == [1, 2] and list(run.glob("events.out.tfevents.*"))
    image = next((undisturbed.data / "images").iterdir())
    [result] = load(run).ground(image, ["the red box"])
    assert result.heatmap.shape == result.image.shape[:2]


@pytest.mark.parametrize(
    ("changes", "content", "said"),
    [
        ({"resume": False}, None, "holds a run already"),
        ({"learning_rate": 0.5}, None, "another learning_rate"),
        ({}, "", r"config\.yaml is damaged"),
        ({}, "a: [", r"config\.yaml is damaged"),
    ],
)
def test_another_run_is_not_written_over(
    finished: TrainConfig, changes: dict[str, Any], content: str | None, said: str
) -> None:
    before = (finished.output / "decoder.safetensors").read_bytes()
    if content is not None:
        (finished.output / "config.yaml").write_text(content)
    with pytest.raises(InputError, match=said):
        train(replace(finished, **{"resume": True, **changes}))
    assert (finished.output / "decoder.safetensors").read_bytes() == before


def test_a_run_is_tied_to_its_clip(config: TrainConfig) -> None:
    train(replace(config, epochs=1))
    decoder = config.output / "decoder.safetensors"
    marked = decoder.read_bytes()
    save_file(load_file(decoder), decoder)
    with pytest.raises(InputError, match="another CLIP file"):
        load(config.output)  # no mark at all
    decoder.write_bytes(marked)
    save_tiny_clip(Path(config.model.clip), seed=1)
    with pytest.raises(InputError, match="another CLIP file"):
        load(config.output)
    Path(config.model.clip).unlink()
    with pytest.raises(InputError, match=r"config\.yaml, model: no CLIP"):
        load(config.output)


def test_an_unusable_clip_leaves_no_run_folder(config: TrainConfig, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no_clip"):
        train(replace(config, model=replace(config.model, clip=str(tmp_path / "no_clip.pt"))))
    assert not config.output.exists()


def test_one_training_at_a_time_in_a_folder(config: TrainConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "SECONDS_FOR_THE_KILLED", 0.1)
    with RunFolder(config), pytest.raises(InputError, match="another training works in"):
        train(replace(config, resume=True))


def test_a_run_says_where_and_with_what_it_was_made(finished: TrainConfig) -> None:
    train(replace(finished, resume=True))  # which finds nothing to do
    [said] = map(json.loads, (finished.output / "environment.jsonl").read_text().splitlines())
    assert said["packages"]["torch"] == torch.__version__.partition("+")[0]
    assert "clip.pt" in said["weights"] and (said["processes"], said["seed"]) == (1, 0)
    is_checkout = (ROOT / ".git").exists()
    assert len(said["revision"] or "") == 40 * is_checkout
