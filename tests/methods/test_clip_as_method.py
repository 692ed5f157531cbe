"""A CLIP named as a method, by name or file, is its zero-shot form at several sizes, wherever a method is named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from grounding import InputError, ModelConfig, load
from grounding.evaluation.registry import MethodSettings, load_method, origin_of
from grounding.methods.load import SIZES_OF_A_CLIP, shared_model
from grounding.methods.proposals import ProposalsConfig
from grounding.webapp.answers import load_methods
from tests.tiny_clip import save_tiny_clip


@pytest.fixture(scope="module")
def clip_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file as RN50.pt is, of a small CLIP."""
    return save_tiny_clip(tmp_path_factory.mktemp("clips") / "RN50.pt")


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    pixels = np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "# 1.png")
    return tmp_path / "# 1.png"


def test_it_answers_as_zero_shot_with_that_clip_at_these_sizes(clip_file: Path, photo: Path) -> None:
    named = load(clip_file)
    spelled = load("zero-shot", model=ModelConfig(clip=str(clip_file), inference_sizes=SIZES_OF_A_CLIP))
    assert named.name == "RN50" and len(SIZES_OF_A_CLIP) > 1
    for one, other in zip(named.ground(photo, ["a", "b"]), spelled.ground(photo, ["a", "b"]), strict=True):
        np.testing.assert_array_equal(one.heatmap, other.heatmap)
        np.testing.assert_array_equal(one.boxes_xyxy, other.boxes_xyxy)
    assert len(load(clip_file, model=ModelConfig(inference_sizes=(96,))).encode(photo).views) == 1


def test_a_missing_file_and_a_second_clip_are_refused(clip_file: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no CLIP .*gone\.pt.*: give one of embedded, RN50"):
        load(tmp_path / "gone.pt")
    with pytest.raises(InputError, match=r"RN50\.pt' is a CLIP, and model\.clip is 'RN101': leave one of them out"):
        load(clip_file, model=ModelConfig(clip="RN101"))


def test_methods_without_training_see_the_clip_that_is_named(clip_file: Path) -> None:
    model = shared_model([str(clip_file), "yolo-clip"], ModelConfig())
    assert (model.clip, model.inference_sizes) == (str(clip_file), SIZES_OF_A_CLIP)
    beside_a_run = shared_model(["refshapes", str(clip_file)], ModelConfig())
    assert beside_a_run.clip == "embedded"
    settings = MethodSettings(beside_a_run, ProposalsConfig(), "cpu")
    grounder = load_method(str(clip_file), settings)
    made_from = origin_of(grounder, str(clip_file), settings)
    assert grounder.name == "RN50" and made_from["model"]["clip"] == str(clip_file)
    assert tuple(made_from["model"]["inference_sizes"]) == SIZES_OF_A_CLIP


def test_on_the_page(clip_file: Path) -> None:
    methods = load_methods([str(clip_file)], ModelConfig(), ProposalsConfig(), "cpu")
    first = next(iter(methods.values()))
    assert list(methods) == ["RN50"] == [first.name] and str(clip_file) in first.weights
