"""Similarity maps as heatmaps: with adapters, and with rules about places."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from grounding import ModelConfig, load
from grounding.errors import InputError
from grounding.extraction import ExtractionConfig
from grounding.methods.dense import DenseGrounder
from grounding.methods.load import make_encoder
from grounding.methods.similarity_maps import LEAST, similarity_heatmaps
from grounding.model.adaptation import EmbeddingAdapters
from grounding.model.build import decoder_for
from grounding.model.decoder import DecoderConfig
from tests.tiny_clip import save_tiny_clip

PHRASES = ["the red box", "the box left of the blue ring", "the leftmost box"]
ADAPTERS = DecoderConfig(kind="adapters")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> ModelConfig:
    path: Path = save_tiny_clip(tmp_path_factory.mktemp("clip") / "clip.pt")
    return ModelConfig(clip=str(path), model_size=96, output_stride=16, decoder=ADAPTERS)


@pytest.fixture
def image() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (50, 90, 3), dtype=np.uint8)


def grounder(model: ModelConfig, *, trained: bool | None, rules: bool = False) -> DenseGrounder:
    """With trained adapters, with new ones, or without any."""
    encoder = make_encoder(model, "cpu")
    adapters = None if trained is None else decoder_for(encoder, ADAPTERS)
    if trained:
        torch.manual_seed(0)
        assert isinstance(adapters, EmbeddingAdapters)
        for parameter in (*adapters.regions.parameters(), *adapters.phrases.parameters()):
            torch.nn.init.normal_(parameter, std=0.1)
    return DenseGrounder(encoder, adapters, extraction=ExtractionConfig(), name="a", spatial_rules=rules)


def heatmaps(method: DenseGrounder, image: np.ndarray) -> np.ndarray:
    return np.stack([answer.heatmap for answer in method.ground(image, PHRASES)])


@pytest.mark.parametrize("rules", [False, True])
def test_new_adapters_answer_as_zero_shot_does_and_trained_ones_otherwise(
    model: ModelConfig, image: np.ndarray, rules: bool
) -> None:
    zero_shot, new, trained = (heatmaps(grounder(model, trained=each, rules=rules), image) for each in (None, False, 1))
    if not rules:  # which take the cosines for logits of another sharpness
        np.testing.assert_allclose(new, zero_shot, atol=1e-4)
    assert np.abs(trained - new).max() > 0.05


def test_rules_change_the_map_of_a_phrase_that_has_one_alone(model: ModelConfig, image: np.ndarray) -> None:
    plain, ruled = (grounder(model, trained=True, rules=rules) for rules in (False, True))
    before, after = heatmaps(plain, image), heatmaps(ruled, image)
    np.testing.assert_allclose(after[0], before[0], atol=1e-4)
    columns = np.arange(image.shape[1])
    for row in (1, 2):
        centres = [(heat.sum(axis=0) * columns).sum() / heat.sum() for heat in (plain_of(plain, image), after[row])]
        assert centres[1] < centres[0]  # further to the left than the box itself is likely


def plain_of(method: DenseGrounder, image: np.ndarray) -> np.ndarray:
    return method.ground(image, ["the box"])[0].heatmap


def test_padding_has_no_part_in_rules(model: ModelConfig, image: np.ndarray) -> None:
    """The map of a rule made of the positions inside the image alone; the image is wider than high."""
    method, (noun, ring) = grounder(model, trained=True, rules=True), ("the box", "the blue ring")
    view = method.encoder.encode([image])
    inside = view.valid_mask(16)[0]
    assert not inside.all()
    adapters = method.decoder
    assert isinstance(adapters, EmbeddingAdapters)
    with torch.no_grad():
        cosines = adapters(view.features, method.encoder.encode_phrases([noun, ring]), torch.tensor([0, 0]))
        found, _ = similarity_heatmaps(
            method.encoder, adapters, view, [PHRASES[1]], torch.tensor([0]), spatial_rules=True
        )
    likely = [(adapters.log_sharpness.exp() * each[inside]).softmax(0) for each in cosines]
    columns = inside.nonzero()[:, 1]
    right = torch.stack([likely[1][columns > column].sum() for column in columns]).clamp(min=LEAST)
    expected = (likely[0] * right).log()
    expected = (expected - expected.min()) / (expected.max() - expected.min())
    torch.testing.assert_close(found[0][inside], expected.detach(), atol=1e-4, rtol=0)
    assert (found[0][~inside] == 0).all()


@pytest.mark.parametrize("together", [True, False])
def test_a_phrase_is_answered_alike_beside_others(model: ModelConfig, image: np.ndarray, together: bool) -> None:
    method = grounder(model, trained=True, rules=True)
    other = np.ascontiguousarray(image[::-1])
    asked = method.ground_batch([other, image], [["the ring"], PHRASES] if together else [[], PHRASES])[1]
    for phrase, answer in zip(PHRASES, asked, strict=True):
        np.testing.assert_allclose(answer.heatmap, method.ground(image, [phrase])[0].heatmap, atol=1e-4)


def test_rules_from_a_configuration(model: ModelConfig, image: np.ndarray) -> None:
    by_name = load("zero-shot", model=replace(model, spatial_rules=True), precision="float32")
    assert isinstance(by_name, DenseGrounder)
    expected = grounder(model, trained=None, rules=True)
    np.testing.assert_allclose(heatmaps(by_name, image), heatmaps(expected, image), atol=1e-6)


def test_a_decoder_takes_no_rules(model: ModelConfig) -> None:
    encoder = make_encoder(model, "cpu")
    decoder = decoder_for(encoder, DecoderConfig(width=16, blocks=1, queries=2, query_dim=8))
    with pytest.raises(InputError, match="a decoder makes none: leave them out"):
        DenseGrounder(encoder, decoder, extraction=ExtractionConfig(), name="a", spatial_rules=True)


@pytest.mark.parametrize("rules", [True, False])
def test_presence_is_how_well_the_whole_phrase_fits_some_position(
    model: ModelConfig, image: np.ndarray, rules: bool
) -> None:
    """A soft maximum over the positions inside the image, whatever rules do to the map."""
    method = grounder(model, trained=True, rules=rules)
    view, adapters = method.encoder.encode([image]), method.decoder
    assert isinstance(adapters, EmbeddingAdapters)
    with torch.no_grad():
        cosines = adapters(view.features, method.encoder.encode_phrases([PHRASES[1]]), torch.tensor([0]))[0]
    inside, sharpness = cosines[view.valid_mask(16)[0]].double(), float(adapters.log_sharpness.exp())
    expected = (sharpness * inside).exp().mean().log() / sharpness
    [answer] = method.ground(image, [PHRASES[1]])
    assert answer.presence == pytest.approx((1 + float(expected)) / 2, abs=1e-4)
