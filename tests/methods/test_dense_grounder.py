"""Several views at inference, of other sizes or mirrored, against each of them by itself."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import grounding.methods.dense as grounder_module
from grounding import InputError, ModelConfig
from grounding.extraction import ExtractionConfig
from grounding.methods.dense import DenseGrounder
from grounding.methods.load import load, make_encoder
from grounding.model.decoder import decoder_for
from tests.tiny_clip import save_tiny_clip

PHRASES = ["a cat", "the man in the red coat"]


@pytest.fixture
def model(tmp_path: Path) -> ModelConfig:
    return ModelConfig(clip=str(save_tiny_clip(tmp_path / "clip.pt")), model_size=64)


@pytest.fixture
def image() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (50, 90, 3), dtype=np.uint8)


def grounder(model: ModelConfig, sizes: tuple[int, ...], *, trained: bool, flip: bool = False) -> DenseGrounder:
    torch.manual_seed(0)
    encoder = make_encoder(model, "cpu")
    decoder = decoder_for(encoder, model.decoder) if trained else None
    return DenseGrounder(encoder, decoder, name="a", model=ModelConfig(inference_sizes=sizes, inference_flip=flip))


@pytest.mark.parametrize("trained", [True, False])
def test_heatmaps_of_several_sizes_are_averaged(model: ModelConfig, image: np.ndarray, trained: bool) -> None:
    alone = [grounder(replace(model, model_size=size), (), trained=trained) for size in (64, 96)]
    expected = [np.mean([each.ground(image, [phrase])[0].heatmap for each in alone], axis=0) for phrase in PHRASES]
    both = grounder(model, (64, 96), trained=trained)
    for asked in (image, both.encode(image)):
        for answer, heatmap in zip(both.ground(asked, PHRASES), expected, strict=True):
            np.testing.assert_allclose(answer.heatmap, heatmap, atol=1e-5)
    assert np.abs(alone[0].ground(image, PHRASES[:1])[0].heatmap - expected[0]).max() > 1e-3
    other = grounder(model, (96,), trained=trained).ground(image, PHRASES[:1])[0].heatmap
    np.testing.assert_allclose(other, alone[1].ground(image, PHRASES[:1])[0].heatmap, atol=1e-6)


def test_a_configuration_names_the_views_and_the_rules(model: ModelConfig, image: np.ndarray) -> None:
    for sizes, flip, rules in (((64, 96), False, False), ((), True, False), ((), False, True)):
        configured = replace(model, inference_sizes=sizes, inference_flip=flip, spatial_rules=rules)
        method = load("zero-shot", model=configured, precision="float32")
        expected = grounder(model, sizes, trained=False, flip=flip)
        expected.spatial_rules = rules
        heatmaps = [each.ground(image, ["a cat left of a dog"])[0].heatmap for each in (method, expected)]
        np.testing.assert_array_equal(*heatmaps)


def test_what_no_model_has_is_refused(model: ModelConfig) -> None:
    with pytest.raises(InputError, match="multiple of 32"):
        load("zero-shot", model=replace(model, inference_sizes=(64, 100)))
    with pytest.raises(InputError, match=r"extraction\.method is 'quality'.*train\.py extraction"):
        load("zero-shot", model=replace(model, extraction=ExtractionConfig(method="quality")))


@pytest.mark.parametrize("trained", [True, False])
@pytest.mark.parametrize("sizes", [(), (64, 96)])
def test_the_mirrored_question_has_the_mirrored_answer(model, image, trained: bool, sizes: tuple[int, ...]) -> None:
    mirrored = np.ascontiguousarray(image[:, ::-1])
    both, alone = (grounder(model, sizes, trained=trained, flip=flip) for flip in (True, False))
    for phrase, opposite in (("the cat left of the dog", "the cat right of the dog"), ("a cat", "a cat")):
        straight, flipped = (alone.ground(view, [asked])[0].heatmap for view, asked in
                             ((image, phrase), (mirrored, opposite)))  # fmt: skip
        found = both.ground(image, [phrase])[0].heatmap
        np.testing.assert_allclose(found, (straight + flipped[:, ::-1]) / 2, atol=1e-5)
        np.testing.assert_allclose(both.ground(mirrored, [opposite])[0].heatmap, found[:, ::-1], atol=1e-5)
        np.testing.assert_allclose(both.ground(both.encode(image), [phrase])[0].heatmap, found, atol=1e-5)
        assert np.abs(straight - flipped[:, ::-1]).max() > 1e-3, "else nothing is averaged"


def test_presence_is_the_highest_heat_or_what_the_head_says(model: ModelConfig, image: np.ndarray) -> None:
    """The mean over the views; what padding shows is tested with the decoder."""
    wide = np.concatenate([image, image], axis=1)
    alone = grounder(model, (64, 96), trained=True)
    [plain] = alone.ground(wide, PHRASES[:1])
    highest = []
    for size in (64, 96):
        [answer] = grounder(model, (size,), trained=True).ground(wide, PHRASES[:1])
        highest.append(answer.presence)
        assert answer.presence >= answer.heatmap.max() - 1e-4  # which is interpolated between cells
    assert plain.presence == pytest.approx(np.mean(highest), abs=1e-5)

    headed = replace(model, decoder=replace(model.decoder, presence=True))
    said = [each.presence for each in grounder(headed, (64, 96), trained=True).ground(wide, PHRASES)]
    assert len(set(said)) == len(PHRASES) and all(0 < each < 1 for each in said)


def test_what_no_mirror_leaves_true_is_not_asked_in_one(model: ModelConfig, image: np.ndarray) -> None:
    alone, both = (grounder(model, (), trained=True, flip=flip) for flip in (False, True))
    asked = ["the sign that says STOP", "a cat"]
    straight, averaged = ([each.heatmap for each in one.ground(image, asked)] for one in (alone, both))
    np.testing.assert_array_equal(averaged[0], straight[0])
    assert np.abs(averaged[1] - straight[1]).max() > 1e-3


def test_many_phrases_are_answered_as_few_are(model, image, monkeypatch) -> None:
    asked = grounder(model, (), trained=True)
    phrases = [f"{phrase} number {number}" for number in range(4) for phrase in PHRASES]
    together = asked.ground(image, phrases)
    monkeypatch.setattr(grounder_module, "PHRASES_TOGETHER", 3)
    for one, other in zip(together, asked.ground(image, phrases), strict=True):
        np.testing.assert_allclose(other.heatmap, one.heatmap, atol=1e-5)
