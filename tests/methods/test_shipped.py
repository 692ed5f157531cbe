"""What comes with the package works without training: on scenes that nobody has used before, or asked nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml

import grounding
from grounding import RefCOCOg, load
from grounding.data.refshapes.writer import write_refshapes
from grounding.evaluation.evaluate import evaluate
from grounding.methods.config import read_model_config
from grounding.methods.load import FAST_SIZE
from grounding.methods.names import SHIPPED, TRAINING_FREE

UNUSED_SEED = 20_261_124  # neither its training scenes nor those that its settings were chosen on come from it


def test_the_shipped_decoder_grounds_new_scenes(tmp_path: Path) -> None:
    write_refshapes(tmp_path / "data", train=1, val=1, test=20, seed=UNUSED_SEED)
    dataset = RefCOCOg(tmp_path / "data", "test", group_by="image")
    metrics = evaluate(load("refshapes"), dataset)
    # 100 phrases or so: their Acc@0.5 varies by some 0.05 from one set of scenes to another.
    assert metrics["acc@0.5"] > 0.6 and metrics["pointing"] > 0.7


def test_the_configuration_that_trained_it_is_the_published_one() -> None:
    published = yaml.safe_load(Path("configs/refshapes.yaml").read_text())["train"]
    shipped = yaml.safe_load((SHIPPED["refshapes"] / "config.yaml").read_text())
    assert read_model_config(SHIPPED["refshapes"]).model_size == published["model"]["model_size"]

    def holds(part: dict, whole: dict) -> bool:
        return all(holds(v, whole[k]) if isinstance(v, dict) else whole[k] == v for k, v in part.items())

    assert holds(published, shipped)


@pytest.mark.parametrize("name", ["refshapes", *TRAINING_FREE])
def test_images_without_phrases(name: str) -> None:
    image = np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    method = grounding.load(name)
    answers = method.ground_batch([image, image, image], [["a"], [], ["a", "b"]])
    assert [len(of_image) for of_image in answers] == [1, 0, 2]
    assert (method.ground_batch([image], [[]]), method.ground_batch([], []), method.ground(image, [])) == ([[]], [], [])


@pytest.mark.parametrize("name", ["refshapes", "zero-shot", "refshapes+yolo"])
def test_the_fast_setting_sees_an_image_once_and_small(name: str) -> None:
    image = np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    method = grounding.load(name, fast=True)
    [view] = getattr(method, "maps", method).encode(image).views
    assert view.letterboxes[0].model_size == FAST_SIZE and not view.mirrored
    assert len(method.ground(image, ["a"])) == 1


@pytest.mark.parametrize("name", ["gradcam", "yolo-clip", "reclip"])
def test_the_fast_setting_is_not_ignored_in_silence(name: str) -> None:
    with pytest.raises(grounding.InputError, match=f"fast sets the size .* '{name}' has no such size"):
        grounding.load(name, fast=True)
