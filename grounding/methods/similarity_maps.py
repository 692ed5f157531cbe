"""Heatmaps that are similarity maps: CLIP's own or those of adapted embeddings, with or without spatial rules."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from grounding.clip.encoder import EncodedView, Encoder
from grounding.clip.similarity import min_max_normalize, similarity_of, soft_maximum
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
) -> tuple[Tensor, Tensor]:
    """The similarity map of each phrase, or with rules the logarithm of where the object is likely, as a heatmap.

    Args:
        encoder: the frozen CLIP, dense.
        adapters: of its embeddings; None for CLIP's own.
        view: B images at one input size.
        phrases: P phrases.
        image_index: (P,) int64, the image each phrase is about.
        spatial_rules: whether what a phrase says about places acts on the maps of its noun phrases.

    Returns:
        (P, h, w) over the model's square, stretched to [0, 1], 0 on padding; and (P,) in [0, 1] how well each phrase
        fits its image: a soft maximum of its cosines, from -1 to 1, brought to 0 to 1.

    Raises:
        InputError: a phrase is empty or too long.
    """
    valid = view.valid_mask(encoder.dense.output_stride)
    # CLIP's own cosines are logits once they are multiplied with what it was trained with.
    log_sharpness = encoder.clip.model.logit_scale if adapters is None else adapters.log_sharpness
    sharpness = log_sharpness.exp()
    maps = _similarity(encoder, adapters, view, phrases, image_index)
    presence = (1 + soft_maximum(maps, valid[image_index], sharpness)) / 2
    if not spatial_rules:
        return min_max_normalize(maps, valid[image_index]), presence
    parsed = [parse_spatial_phrase(phrase) for phrase in phrases]
    asked = [(noun, row) for row, phrase in enumerate(parsed) for noun in noun_phrases(phrase)]
    about = image_index[torch.tensor([row for _, row in asked], device=image_index.device)]
    similarity = _similarity(encoder, adapters, view, [noun for noun, _ in asked], about)
    likely = position_distribution(similarity, valid[about], sharpness=float(sharpness))
    of_nouns: list[dict[str, Tensor]] = [{} for _ in parsed]
    for (noun, row), distribution in zip(asked, likely, strict=True):
        of_nouns[row][noun] = distribution
    combined = torch.stack([combine_maps(phrase, nouns) for phrase, nouns in zip(parsed, of_nouns, strict=True)])
    heat = combined.clamp(min=torch.finfo(combined.dtype).tiny).log()
    return min_max_normalize(heat, valid[image_index]), presence


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
