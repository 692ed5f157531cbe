"""Similarity maps as heatmaps: with adapters, and with rules about places."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from grounding import ModelConfig
from grounding.methods.dense import DenseGrounder
from grounding.methods.load import make_encoder
from grounding.methods.reclip import combine
from grounding.methods.similarity_maps import LEAST, combine_maps, similarity_heatmaps
from grounding.methods.spatial_phrases import noun_phrases, parse_spatial_phrase
from grounding.model.decoder import DecoderConfig, decoder_for
from grounding.runtime.errors import InputError
from tests.tiny_clip import save_tiny_clip

PHRASES = ["the red box", "the box left of the blue ring", "the leftmost box"]
ADAPTERS = DecoderConfig(kind="adapters")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> ModelConfig:
    path = save_tiny_clip(tmp_path_factory.mktemp("clip") / "clip.pt")
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
        for parameter in (*adapters.regions.parameters(), *adapters.phrases.parameters()):
            torch.nn.init.normal_(parameter, std=0.1)
    return DenseGrounder(encoder, adapters, name="a", model=replace(model, spatial_rules=rules))


def heatmaps(method: DenseGrounder, image: np.ndarray) -> np.ndarray:
    return np.stack([answer.heatmap for answer in method.ground(image, PHRASES)])


@pytest.mark.parametrize("rules", [False, True])
def test_new_adapters_answer_as_zero_shot_does_and_trained_ones_otherwise(model, image, rules: bool) -> None:
    zero_shot, new, trained = (heatmaps(grounder(model, trained=each, rules=rules), image) for each in (None, False, 1))
    if not rules:  # which take the cosines for logits of another sharpness
        np.testing.assert_allclose(new, zero_shot, atol=1e-4)
    assert np.abs(trained - new).max() > 0.05


def test_padding_has_no_part_in_rules(model: ModelConfig, image: np.ndarray) -> None:
    """The map of a rule made of the positions inside the image alone; the image is wider than high."""
    method, (noun, ring) = grounder(model, trained=True, rules=True), ("the box", "the blue ring")
    view = method.encoder.encode([image])
    inside = view.valid_mask(16)[0]
    assert not inside.all()
    adapters = method.decoder
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


def test_a_decoder_takes_no_rules(model: ModelConfig) -> None:
    encoder = make_encoder(model, "cpu")
    decoder = decoder_for(encoder, DecoderConfig(width=16, blocks=1, queries=2, query_dim=8))
    with pytest.raises(InputError, match="a decoder makes none: leave them out"):
        DenseGrounder(encoder, decoder, name="a", model=replace(model, spatial_rules=True))


@pytest.mark.parametrize("rules", [True, False])
def test_presence_is_how_well_the_whole_phrase_fits_some_position(model, image, rules: bool) -> None:
    """A soft maximum over the positions inside the image, whatever rules do to the map."""
    method = grounder(model, trained=True, rules=rules)
    view, adapters = method.encoder.encode([image]), method.decoder
    with torch.no_grad():
        cosines = adapters(view.features, method.encoder.encode_phrases([PHRASES[1]]), torch.tensor([0]))[0]
    inside, sharpness = cosines[view.valid_mask(16)[0]].double(), float(adapters.log_sharpness.exp())
    expected = (sharpness * inside).exp().mean().log() / sharpness
    [answer] = method.ground(image, [PHRASES[1]])
    assert answer.presence == pytest.approx((1 + float(expected)) / 2, abs=1e-4)


HEIGHT, WIDTH = 3, 4
# Every position as a box of one cell, row by row: what the rules for boxes say of them is what they say of positions.
BOXES = np.array([[x, y, x + 1, y + 1] for y in range(HEIGHT) for x in range(WIDTH)], dtype=np.float64)
OF_PLACES = (
    "the star", "the star left of the ring", "the leftmost star", "the ring below the star above the square",
    "the star to the right of the ring and under the square", "the bigger star", "the lower one of the two rings",
)  # fmt: skip


def distribution(seed: int) -> Tensor:
    values = torch.rand(HEIGHT, WIDTH, generator=torch.Generator().manual_seed(seed), dtype=torch.double)
    return values / values.sum()


@pytest.mark.parametrize("phrase", OF_PLACES)
def test_a_map_is_what_reclip_says_of_cells_but_for_sizes(phrase: str) -> None:
    parsed = parse_spatial_phrase(phrase)
    maps = {noun: distribution(number) for number, noun in enumerate(noun_phrases(parsed), start=1)}
    found = combine_maps(parsed, maps).flatten().numpy()
    of_boxes = {noun: each.flatten().numpy() for noun, each in maps.items()}
    if {"bigger", "smaller"} & set(parsed.superlatives):  # of which cells, all of one size, know nothing
        expected = of_boxes[parsed.head]
    else:
        expected = combine(parsed, of_boxes, BOXES)
    assert found.sum() == pytest.approx(1)
    np.testing.assert_allclose(found, expected, atol=5 * LEAST)
