"""Heatmaps that are similarity maps: CLIP's own or those of adapted embeddings, with or without spatial rules."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from grounding.clip.encoder import EncodedView, Encoder
from grounding.clip.similarity import min_max_normalize, similarity_of
from grounding.methods.spatial_maps import combine_maps, position_distribution
from grounding.methods.spatial_phrases import noun_phrases, parse_spatial_phrase
from grounding.model.adaptation import EmbeddingAdapters


def similarity_heatmaps(
    encoder: Encoder,
    adapters: EmbeddingAdapters | None,
    view: EncodedView,
    phrases: Sequence[str],
    image_index: Tensor,
    *,
    spatial_rules: bool,
) -> Tensor:
    """The similarity map of each phrase, or with rules the logarithm of where the object is likely, as a heatmap.

    Args:
        encoder: the frozen CLIP, dense.
        adapters: of its embeddings; None for CLIP's own.
        view: B images at one input size.
        phrases: P phrases.
        image_index: (P,) int64, the image each phrase is about.
        spatial_rules: whether what a phrase says about places acts on the maps of its noun phrases.

    Returns:
        (P, h, w) over the model's square, stretched to [0, 1]; 0 on padding.

    Raises:
        InputError: a phrase is empty or too long.
    """
    valid = view.valid_mask(encoder.dense.output_stride)
    if not spatial_rules:
        maps = _similarity(encoder, adapters, view, phrases, image_index)
        return min_max_normalize(maps, valid[image_index])
    parsed = [parse_spatial_phrase(phrase) for phrase in phrases]
    asked = [(noun, row) for row, phrase in enumerate(parsed) for noun in noun_phrases(phrase)]
    about = image_index[torch.tensor([row for _, row in asked], device=image_index.device)]
    similarity = _similarity(encoder, adapters, view, [noun for noun, _ in asked], about)
    # CLIP's own cosines are logits once they are multiplied with what it was trained with.
    log_sharpness = encoder.clip.model.logit_scale if adapters is None else adapters.log_sharpness
    likely = position_distribution(similarity, valid[about], sharpness=float(log_sharpness.exp()))
    of_nouns: list[dict[str, Tensor]] = [{} for _ in parsed]
    for (noun, row), distribution in zip(asked, likely, strict=True):
        of_nouns[row][noun] = distribution
    combined = torch.stack([combine_maps(phrase, nouns) for phrase, nouns in zip(parsed, of_nouns, strict=True)])
    return min_max_normalize(combined.clamp(min=torch.finfo(combined.dtype).tiny).log(), valid[image_index])


def _similarity(
    encoder: Encoder,
    adapters: EmbeddingAdapters | None,
    view: EncodedView,
    phrases: Sequence[str],
    image_index: Tensor,
) -> Tensor:
    """(P, h, w) cosines."""
    asked = encoder.encode_phrases(phrases)
    if adapters is None:
        return similarity_of(view.features.embeddings, asked.embeddings, image_index)
    adapted: Tensor = adapters(view.features, asked, image_index)
    return adapted
