"""What a search can be told, in Python and on the command line, and what it refuses."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from grounding import InputError
from grounding.model.decoder import DecoderConfig
from grounding.training.config import TrainConfig
from grounding.training.search import TuneConfig, tune
from grounding.training.search_space import (
    DEFAULT_SPACE,
    default_space,
    read_space,
    values_in_space,
    with_values,
)
from tests.scripts import assert_refused, run_script
from tests.training.search.searches import SPACE

Capture = pytest.CaptureFixture[str]


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
        ({"model.decoder.kind": ["convolutional", "adapters"]}, "'model.decoder.kind' is no setting to search"),
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
    adapters = replace(config, model=replace(config.model, decoder=DecoderConfig(kind="adapters")))
    assert default_space(config) == DEFAULT_SPACE
    assert list(default_space(adapters)) == ["learning_rate", "weight_decay", "ema_decay", "phrases_per_image"]
    # As YAML reads numbers without a point.
    same = read_space({"learning_rate": {"low": "1e-4", "high": "1e-2", "log": True}}, config)
    assert same["learning_rate"] == space["learning_rate"]
    changed = with_values(config, {"model.decoder.width": 64, "augmentation.flip": True, "seed": 4})
    assert (changed.model.decoder.width, changed.augmentation.flip, changed.seed) == (64, True, 4)
    assert changed.model.decoder.blocks == config.model.decoder.blocks


def test_what_a_search_refuses(config: TuneConfig, tmp_path: Path) -> None:
    for wrong, fragment in (
        ({"validation_split": "test"}, "validation_split is 'test'"),
        ({"validation_split": "testA"}, "validation_split is 'testA'"),
        ({"split": "test"}, "split is 'test'"),
        ({"split": "training"}, "training"),
        ({"data": tmp_path / "nowhere"}, "nowhere"),
        ({"output": tmp_path / "what?" / "now"}, "give a folder without"),
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
    assert helped.code == 0 and "study folder" in helped.out and "a folder or a table" in " ".join(helped.out.split())
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
