"""Adapters and low-rank updates: nothing at the start, and then what their papers say."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from grounding.clip.dense import DenseCLIP, DenseFeatures
from grounding.clip.encoder import Encoder
from grounding.clip.similarity import similarity_of
from grounding.methods.dense import DenseGrounder
from grounding.model.adaptation import EmbeddingAdapters, LowRankUpdates
from grounding.model.decoder import DecoderConfig, HeatmapDecoder, decoder_for
from tests.model.test_decoder import CHANNELS, EMBED_DIM, make_features, make_phrases
from tests.tiny_clip import loaded_tiny_clip

SQUARES = torch.randint(256, (2, 64, 64, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.fixture(params=[16, 32])
def encoder(request: pytest.FixtureRequest) -> Encoder:
    return Encoder(loaded_tiny_clip(), model_size=64, output_stride=request.param)


def make_updates(encoder: Encoder, *, trained: bool) -> LowRankUpdates:
    torch.manual_seed(0)
    updates = LowRankUpdates(encoder.dense, rank=2)
    for name, parameter in updates.named_parameters():
        if trained and name.startswith("up"):
            torch.nn.init.normal_(parameter, std=0.1)
    return updates


def assert_equal(first: DenseFeatures, second: DenseFeatures, tolerance: float) -> None:
    for one, other in ((first.embeddings, second.embeddings), *zip(first.pyramid.values(), second.pyramid.values(),
                                                                   strict=True)):  # fmt: skip
        torch.testing.assert_close(one, other, atol=tolerance * float(other.abs().max()), rtol=0)


def test_clip_is_itself_at_the_start(encoder: Encoder, on_cpu: set[int]) -> None:
    """To the last bit, trained or added for good; what tells updates apart is summed on the CPU."""
    own, updates = encoder.encode_squares(SQUARES), make_updates(encoder, trained=False)
    assert_equal(encoder.encode_squares(SQUARES, updates()), own, 0)
    assert_equal(encoder.updated(updates()).encode_squares(SQUARES), own, 0)
    assert on_cpu


def test_added_for_good_they_change_what_they_changed_in_training(encoder: Encoder) -> None:
    own, updates = encoder.encode_squares(SQUARES), make_updates(encoder, trained=True)
    trained = encoder.encode_squares(SQUARES, updates())
    assert_equal(encoder.updated(updates()).encode_squares(SQUARES), trained, 1e-5)
    assert (trained.embeddings - own.embeddings).abs().max() > 0.05
    for stage in ("layer1", "layer2"):  # which have none
        assert torch.equal(trained.pyramid[stage], own.pyramid[stage])
    assert_equal(encoder.encode_squares(SQUARES), own, 0)  # the frozen tower was not touched


def test_a_tower_in_bfloat16_is_updated_before_it_is_rounded(encoder: Encoder) -> None:
    """An update of a thousandth of a weight, which bfloat16 alone would mostly lose."""
    visual = copy.deepcopy(encoder.dense.visual).to(torch.bfloat16)
    name = "layer4.0.conv1.weight"
    weight = visual.get_parameter(name).float()
    updated = DenseCLIP(visual, output_stride=16).with_updates({name: 0.003 * weight})
    expected = (1.003 * weight).to(torch.bfloat16)
    assert torch.equal(updated.visual.get_parameter(name), expected) and not torch.equal(expected.float(), weight)
    assert torch.equal(visual.get_parameter(name).float(), weight)


def test_an_update_is_a_product_of_its_rank(encoder: Encoder) -> None:
    """Of a kernel taken for a matrix; by name, each fits its convolution."""
    updates = make_updates(encoder, trained=True)
    for down in updates.down.values():  # a change of the second factor moves each weight alike, however large a kernel
        assert float(down.std()) == pytest.approx(down.shape[1] ** -0.5, rel=0.35)
    kernels = {f"{name}.weight": each.weight.shape for name, each in encoder.dense.visual.named_modules()
               if isinstance(each, torch.nn.Conv2d) and name.startswith(("layer3", "layer4"))}  # fmt: skip
    assert {name: added.shape for name, added in updates().items()} == kernels
    assert {int(torch.linalg.matrix_rank(added.detach().flatten(1))) for added in updates().values()} == {2}


def test_a_method_answers_with_the_updated_tower(encoder: Encoder) -> None:
    torch.manual_seed(0)
    config = DecoderConfig(width=16, blocks=1, queries=2, query_dim=8, lora_rank=2)
    decoder = decoder_for(encoder, config)
    assert isinstance(decoder, HeatmapDecoder) and decoder.updates is not None
    for parameter in decoder.updates.up.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    image = SQUARES[0].numpy()
    with torch.no_grad():
        features = encoder.encode_squares(SQUARES[:1], decoder.updates())
        expected = decoder(features, encoder.encode_phrases(["a box"]), torch.tensor([0])).sigmoid()
    grounder = DenseGrounder(encoder, decoder, name="ours")
    [answer] = grounder.ground(image, ["a box"])
    shown = F.interpolate(expected[None], size=(64, 64), mode="bilinear", align_corners=False)[0, 0]
    np.testing.assert_allclose(answer.heatmap, shown.numpy(), atol=1e-4)


def make_adapters(*, trained: bool) -> EmbeddingAdapters:
    torch.manual_seed(0)
    adapters = EmbeddingAdapters(EMBED_DIM, CHANNELS["layer4"], hidden=16)
    if trained:
        for parameter in adapters.parameters():
            torch.nn.init.normal_(parameter, std=0.3)
    return adapters


def test_they_start_as_clip() -> None:
    features, phrases, adapters = make_features(2, 64, 96, 16), make_phrases(3), make_adapters(trained=False)
    torch.testing.assert_close(adapters.region_embeddings(features), features.embeddings, atol=1e-6, rtol=0)
    torch.testing.assert_close(adapters.phrase_embeddings(phrases.embeddings), phrases.embeddings, atol=1e-6, rtol=0)


def test_the_map_is_the_cosine_of_corrected_embeddings() -> None:
    features, phrases, adapters = make_features(2, 64, 96, 16), make_phrases(3), make_adapters(trained=True)
    index = torch.tensor([1, 0, 1])
    regions, words = adapters.region_embeddings(features), adapters.phrase_embeddings(phrases.embeddings)
    found = adapters(features, phrases, index)
    expected = torch.cosine_similarity(regions[index], words[:, :, None, None], dim=1)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
    unadapted = similarity_of(features.embeddings, phrases.embeddings, index)
    assert (found - unadapted).abs().max() > 0.05
    found.square().sum().backward()
    assert adapters.regions[0].weight.grad.abs().amax(dim=0).min() > 0, "embeddings and features both have a say"
