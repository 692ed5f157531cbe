"""Adapters start as CLIP, are CLIP without their corrections, and make the similarity map of what they correct."""

from __future__ import annotations

import torch

from grounding.clip.similarity import similarity_of
from grounding.model.adaptation import EmbeddingAdapters
from tests.model.test_decoder import CHANNELS, EMBED_DIM, make_features, make_phrases


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
