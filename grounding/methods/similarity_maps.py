"""Heatmaps that are similarity maps: CLIP's own or those of adapted embeddings, with or without spatial rules.

The rules are ReCLIP's (`reclip.combine`, after Subramanian et al. 2022, section 3.2), with positions in the place of
proposals: cosines are read as the logits of a distribution over positions. "The star left of the ring" is then likely
where the star is, times how much of the ring lies to the right of there: a sum that runs over the columns. Positions
have no size, so "bigger" and "smaller" change nothing here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from grounding.clip.encoder import EncodedView, Encoder
from grounding.clip.similarity import min_max_normalize, similarity_of, soft_maximum
from grounding.methods.spatial_phrases import SpatialPhrase, noun_phrases, parse_spatial_phrase
from grounding.model.adaptation import EmbeddingAdapters

LEAST = 1e-3  # of what a rule leaves: the noun phrases or the rule itself may be wrong


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

    The i-th phrase is about the image `image_index[i]` of the view; without adapters, CLIP's own embeddings count.
    Returns (P, h, w) over the model's square, stretched to [0, 1], 0 on padding; and (P,) in [0, 1] how well each
    phrase fits its image: a soft maximum of its cosines, from -1 to 1, brought to 0 to 1.
    """

    def cosines(phrases: Sequence[str], image_index: Tensor) -> Tensor:
        asked = encoder.encode_phrases(phrases)
        if adapters is None:
            return similarity_of(view.features.embeddings, asked.embeddings, image_index)
        adapted: Tensor = adapters(view.features, asked, image_index)
        return adapted

    valid = view.valid_mask(encoder.dense.output_stride)
    # CLIP's own cosines are logits once they are multiplied with what it was trained with.
    sharpness = (encoder.clip.model.logit_scale if adapters is None else adapters.log_sharpness).exp()
    maps = cosines(phrases, image_index)
    presence = (1 + soft_maximum(maps, valid[image_index], sharpness)) / 2
    if not spatial_rules:
        return min_max_normalize(maps, valid[image_index]), presence
    parsed = [parse_spatial_phrase(phrase) for phrase in phrases]
    asked = [(noun, row) for row, phrase in enumerate(parsed) for noun in noun_phrases(phrase)]
    about = image_index[torch.tensor([row for _, row in asked], device=image_index.device)]
    logits = float(sharpness) * cosines([noun for noun, _ in asked], about)
    likely = logits.masked_fill(~valid[about], -torch.inf).flatten(1).softmax(dim=1).view_as(logits)
    of_nouns: list[dict[str, Tensor]] = [{} for _ in parsed]
    for (noun, row), distribution in zip(asked, likely, strict=True):
        of_nouns[row][noun] = distribution
    combined = torch.stack([combine_maps(phrase, nouns) for phrase, nouns in zip(parsed, of_nouns, strict=True)])
    heat = combined.clamp(min=torch.finfo(combined.dtype).tiny).log()
    return min_max_normalize(heat, valid[image_index]), presence


def standing(direction: str, anchor: Tensor) -> Tensor:
    """How likely a thing at each position stands in that direction from the anchor, whose probabilities are given.

    (h, w) in [0, 1]: the anchor's probability in the columns right of a position for "left", and so on.
    """
    if direction not in ("left", "right", "above", "below"):
        return torch.ones_like(anchor)
    axis = 1 if direction in ("left", "right") else 0
    along = anchor.sum(dim=1 - axis)
    before = along.cumsum(0) - along
    passed = before if direction in ("right", "below") else along.sum() - before - along
    return passed.unsqueeze(1 - axis).expand_as(anchor)


def combine_maps(phrase: SpatialPhrase, distributions: Mapping[str, Tensor]) -> Tensor:
    """Where the object is that the phrase means, (h, w) probabilities; the same for each of its `noun_phrases`."""
    head = combined = distributions[phrase.head]
    support = [standing(relation, combine_maps(anchor, distributions)) for relation, anchor in phrase.relations]
    support += [standing(superlative, head) for superlative in phrase.superlatives]
    for factor in support:
        combined = combined * factor.clamp(min=LEAST)
    return combined / combined.sum()
