"""What a phrase says about places, applied to maps: ReCLIP's rules, with positions in the place of proposals.

A map of cosines is read as the logits of a distribution over positions. "The star left of the ring" is then likely
where the star is, times how much of the ring lies to the right of there: a sum that runs over the columns
(`reclip.combine` has the same for boxes, after Subramanian et al. 2022, "ReCLIP", section 3.2). Positions have no size,
so "bigger" and "smaller" change nothing here.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from grounding.methods.spatial_phrases import SpatialPhrase

LEAST = 1e-3  # of what a rule leaves: the noun phrases or the rule itself may be wrong


def position_distribution(similarity: Tensor, valid: Tensor, *, sharpness: float) -> Tensor:
    """Where a phrase is, as probabilities.

    Args:
        similarity: (P, h, w) cosines.
        valid: (P, h, w) bool, at least one True per map.
        sharpness: of the softmax over the valid positions.

    Returns:
        (P, h, w) that sum to 1 each, 0 where not valid.
    """
    logits = (sharpness * similarity).masked_fill(~valid, -torch.inf)
    return logits.flatten(1).softmax(dim=1).view_as(similarity)


def standing(direction: str, anchor: Tensor) -> Tensor:
    """How likely a thing at each position stands in that direction from the anchor.

    Args:
        direction: "left", "right", "above" or "below"; any other says nothing.
        anchor: (h, w) probabilities of where the anchor is.

    Returns:
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
    """Where the object is that the phrase means.

    Args:
        phrase: taken apart.
        distributions: for every one of `noun_phrases(phrase)`, (h, w) probabilities of the positions.

    Returns:
        (h, w) probabilities, which sum to 1.
    """
    head = combined = distributions[phrase.head]
    support = [standing(relation, combine_maps(anchor, distributions)) for relation, anchor in phrase.relations]
    support += [standing(superlative, head) for superlative in phrase.superlatives]
    for factor in support:
        combined = combined * factor.clamp(min=LEAST)
    return combined / combined.sum()
