"""Pairs of image and phrase, without boxes, are enough to train on, from a table or streamed from tar files."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import pytest

from grounding import InputError, ModelConfig, load
from grounding.clip import text
from grounding.data import tar_samples
from grounding.data.augment import AugmentationConfig
from grounding.data.augmentation_rules import mirrored_phrase
from grounding.data.refcocog import RefCOCOg
from grounding.training.config import TrainConfig
from grounding.training.train import train
from tests.processes import newest_state
from tests.scripts import assert_refused, run_script
from tests.tar_files import jpeg, write_tar
from tests.training.runs import assert_killed_and_resumed_equals_uninterrupted, decoder_of, equal


def pairs_of(config: TrainConfig) -> Path:
    """The training images and phrases as a JSON-lines file, which lies where nothing else does."""
    folder = config.data.with_name("pairs")
    shutil.copytree(config.data / "images", folder / "images")
    dataset = RefCOCOg(config.data, "train", group_by="image")
    lines = [json.dumps({"image": each.image_path.name, "phrase": each.phrase}) for each in dataset.expressions]
    (folder / "train.jsonl").write_text("\n".join(lines))
    return folder / "train.jsonl"


def test_pairs_alone_are_enough_to_train(unboxed: TrainConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    config = replace(unboxed, data=pairs_of(unboxed), patience=1)
    shutil.rmtree(unboxed.data)
    assert_killed_and_resumed_equals_uninterrupted(config, monkeypatch, 4)
    epochs = [json.loads(line)["epoch"] for line in (config.output / "metrics.jsonl").read_text().splitlines()]
    assert epochs == [1, 2]
    last = newest_state(config.output)["mean"]  # without boxes to validate on, the last epoch is kept
    assert equal(decoder_of(config.output), {name[7:]: each for name, each in last.items() if name[:7] == "module."})
    image = next((config.data.parent / "images").iterdir())
    [result] = load(config.output).ground(image, ["the red box"])
    assert result.heatmap.shape == result.image.shape[:2]


def test_every_phrase_is_encoded_before_the_first_step(unboxed: TrainConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    """The mirrored ones too: encoded with others, an embedding is another one in its last bits."""
    encode = Mock(side_effect=text.text_states)
    monkeypatch.setattr(text, "text_states", encode)
    pairs = pairs_of(unboxed)
    lines = [json.loads(line) for line in pairs.read_text().splitlines()]
    placed = [
        line | {"phrase": f"{line['phrase']} on the {('left', 'far right')[i % 2]}"} for i, line in enumerate(lines)
    ]
    pairs.write_text("\n".join(map(json.dumps, lines + placed)))
    config = replace(unboxed, data=pairs, augmentation=AugmentationConfig(flip=True))
    train(config)
    [called] = encode.call_args_list
    phrases = {line["phrase"] for line in lines + placed}
    mirrored = {mirrored_phrase(phrase) for phrase in phrases}
    assert len(called.args[1]) == len(phrases | mirrored) and not mirrored <= phrases


def test_pairs_from_the_command_line(unboxed: TrainConfig, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Validated on boxes of another data set."""
    pairs = pairs_of(unboxed)
    options = ("--data", pairs, "--output", tmp_path / "run", "--device", "cpu", "--epochs", 1, "--model.clip",
               unboxed.model.clip, "--model.model_size", 64)  # fmt: skip
    assert_refused(run_script(capsys, "train.py", *options), pairs, "decoder.kind adapters")
    adapters = (*options, "--model.decoder.kind", "adapters")
    assert_refused(run_script(capsys, "train.py", *adapters, "--subset", 9), "subset is 9: use a count of images")
    assert not (tmp_path / "run").exists()
    trained = run_script(capsys, "train.py", *adapters, "--validation_data", unboxed.data)
    assert trained.code == 0 and "best validation Acc@0.5" in trained.out, trained
    assert trained.out.strip().endswith(f"the run is in {tmp_path / 'run'}")


@pytest.fixture
def streamed(unboxed: TrainConfig, monkeypatch: pytest.MonkeyPatch) -> TrainConfig:
    """Six steps in two epochs; phrases are shared by images, and drawn."""
    monkeypatch.setattr(tar_samples, "SHUFFLED", 3)
    folder = unboxed.data.with_name("shards")
    folder.mkdir()
    for start in (0, 3):
        write_tar(folder / f"{start}.tar", {f"{number}": (jpeg(number), f"thing {number}\na dog\nthing {number // 2}")
                                            for number in range(start, start + 3)})  # fmt: skip
    return replace(unboxed, data=folder, phrases_per_image=2)


def test_streamed_from_tar_files(streamed: TrainConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("webdataset", reason="needs pip install -r requirements-ray.txt")
    assert_killed_and_resumed_equals_uninterrupted(streamed, monkeypatch, 4)
    with pytest.raises(InputError, match="without boxes"):
        train(replace(streamed, output=streamed.output.with_name("boxes"), model=ModelConfig(clip=streamed.model.clip)))
