"""`ground_batch` and `ground_many` refuse what `ground` refuses, and numbers that would leave images unanswered."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from grounding import InputError, ModelConfig, load
from grounding.deployment.bulk import BulkConfig, ground_file
from grounding.evaluation.compare import EvaluateConfig, compare
from grounding.methods.stream import ground_many
from grounding.training.config import TrainConfig
from grounding.training.train import train
from grounding.visualization.commands import VisualizeConfig, sheets
from tests.tiny_clip import save_tiny_clip

METHODS = ["zero-shot", "yolo-clip", "centred-box"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two photographs and a CLIP; not to be changed."""
    folder = tmp_path_factory.mktemp("batch")
    save_tiny_clip(folder / "clip.pt")
    for index in range(2):
        pixels = np.random.default_rng(index).integers(0, 256, (40, 60 + index, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{index}.png")
    return folder


def method(folder: Path, name: str):
    return load(name, model=ModelConfig(clip=str(folder / "clip.pt"), model_size=64))


def pixels(folder: Path) -> list[np.ndarray]:
    return [np.asarray(Image.open(folder / f"{index}.png")) for index in range(2)]


@pytest.mark.parametrize("name", METHODS)
def test_a_batch_is_checked_as_one_image_is(folder: Path, name: str) -> None:
    grounder, images = method(folder, name), pixels(folder)
    for phrases, said in (
        (["circle", "star"], "single string 'circle': put it into a list"),
        ("ab", "single string 'a'"),
        ([["circle"]], "2 images and 1 lists of phrases"),
        ([["circle"], ["star"], ["ring"]], "2 images and 3 lists of phrases"),
    ):
        with pytest.raises(InputError, match=said):
            grounder.ground_batch(images, phrases)
    with pytest.raises(InputError, match=r"\(H, W, 3\) uint8"):
        grounder.ground_batch([images[0], images[1][..., 0]], [["a"], ["b"]])
    with pytest.raises(InputError, match=r"\(H, W, 3\) uint8"):
        grounder.ground_batch(images[0], [["a"]] * 40)  # one image, whose rows would be taken for images


@pytest.mark.parametrize(
    ("option", "value", "least"),
    [
        *(("ahead", value, 0) for value in (-1, 1.5, "2", None, True, float("nan"))),
        *(("readers", value, 1) for value in (0, -3, 2.0)),
    ],
)
def test_numbers_of_a_stream_are_refused_before_it_is_asked(folder: Path, option: str, value, least: int) -> None:
    taken = []

    def requests() -> Iterator[tuple[str, Path, list[str]]]:
        taken.append(1)
        yield "a", folder / "0.png", ["a"]

    with pytest.raises(InputError, match=f"{option} is .*: give a whole number of at least {least}"):
        ground_many(method(folder, "zero-shot"), requests(), **{option: value})  # no answer is asked for yet
    assert not taken
    [answer] = ground_many(method(folder, "zero-shot"), requests(), ahead=np.int64(0), readers=np.int32(1))
    assert [each.phrase for each in answer.phrases] == ["a"]


@pytest.mark.parametrize("request_", ["0.png", ("0.png", ["a"]), {"image": "0.png"}, ("k", "0.png", ["a"], 1)])
def test_what_is_no_request_is_said_in_a_sentence(folder: Path, request_) -> None:
    with pytest.raises(InputError, match=r"a request is \(key, image, phrases\), got "):
        list(ground_many(method(folder, "zero-shot"), [request_], skip_broken=True))


def test_configurations_made_in_python_are_held_to_the_same_bounds(tmp_path: Path) -> None:
    bulk = BulkConfig("zero-shot", tmp_path / "r.jsonl", tmp_path / "o.jsonl")
    training, comparison = TrainConfig(tmp_path, tmp_path), EvaluateConfig(["zero-shot"], tmp_path, tmp_path)
    for start, config, said in (
        (ground_file, replace(bulk, readers=0), "BulkConfig: readers is 0"),
        (train, replace(training, workers=-1), "TrainConfig: workers is -1"),
        (train, replace(training, epochs=1.5), r"TrainConfig: epochs is 1\.5"),
        (compare, replace(comparison, images_per_batch=0), "EvaluateConfig: images_per_batch is 0"),
        (sheets, VisualizeConfig(["zero-shot"], tmp_path, data=tmp_path, count=-2), "VisualizeConfig: count is -2"),
    ):
        with pytest.raises(InputError, match=said):
            start(config)  # type: ignore[operator]
