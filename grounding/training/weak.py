"""Losses for phrases that are known to be about an image, without a box.

CLIP's own similarity map serves as pseudo-mask: it is imprecise at the edges of objects, but its errors differ from
image to image, and a decoder trained on many maps learns what they have in common (Zhou et al. 2022, "Extract Free
Dense Labels from CLIP", section 3.3). The pairwise affinity loss adds what the maps lack: edges that follow colours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import EllipsisType

import torch
import torch.nn.functional as F
from torch import Tensor

from grounding.clip.similarity import min_max_normalize, similarity_of
from grounding.errors import SettingsError

SIMILAR_COLOUR = 0.1  # summed over red, green and blue in [0, 1]
NEIGHBOURS = ((0, 1), (1, 0), (0, 2), (2, 0))  # cells down and across


@dataclass(frozen=True)
class WeakConfig:
    """Weights of the losses that need no box, beside the contrast.

    Attributes:
        map_weight: of the mask loss against pseudo-masks made from CLIP's similarity map.
        teacher_sizes: input sizes at which that map is made, besides the model's own, and averaged: at one size CLIP
            draws all objects alike, and at several its errors differ.
        threshold: of that map, stretched to [0, 1]: where the target is one half.
        steepness: of the target around the threshold.
        colour_weight: of the pairwise affinity loss: neighbouring cells of similar colour get similar heat.
    """

    map_weight: float = 1.0
    teacher_sizes: tuple[int, ...] = ()
    threshold: float = 0.7
    steepness: float = 12.0
    colour_weight: float = 0.5

    def __post_init__(self) -> None:
        if not 0 < self.threshold < 1:
            raise SettingsError(f"losses.weak.threshold is {self.threshold}: give a share between 0 and 1")
        if self.steepness <= 0:
            raise SettingsError(f"losses.weak.steepness is {self.steepness}: give a number above 0")
        if any(size < 32 or size % 32 for size in self.teacher_sizes):
            raise SettingsError(
                f"losses.weak.teacher_sizes is {list(self.teacher_sizes)}: give positive multiples of 32"
            )
        refuse_negative("losses.weak", map_weight=self.map_weight, colour_weight=self.colour_weight)


def refuse_negative(section: str, **weights: float) -> None:
    """Does nothing, unless a weight is negative.

    Raises:
        SettingsError: one is.
    """
    for name, weight in weights.items():
        if weight < 0:
            raise SettingsError(f"{section}.{name} is {weight}: give 0 or more")


def pseudo_masks(
    embeddings: Sequence[Tensor],
    phrases: Tensor,
    image_index: Tensor,
    valid: Tensor,
    *,
    threshold: float,
    steepness: float,
) -> Tensor:
    """CLIP's similarity maps as soft masks for the heatmaps to follow.

    Args:
        embeddings: CLIP's own dense embeddings at one or several input sizes, each (B, E, h, w), L2-normalised.
        phrases: (P, E) L2-normalised.
        image_index: (P,) int64, the image each phrase is about.
        valid: (P, H, W) bool, False on padding.
        threshold, steepness: as in `WeakConfig`.

    Returns:
        (P, H, W) in [0, 1], without gradient.
    """
    with torch.no_grad():
        maps = []
        for of_size in embeddings:
            similarity = similarity_of(of_size, phrases, image_index)
            content = F.adaptive_max_pool2d(valid.float(), similarity.shape[-2:]) > 0
            stretched = min_max_normalize(similarity, content)
            # Padding's zeros are left out of the means, or the image would seem to fit less wherever it borders on it.
            both = torch.stack([stretched, content.to(stretched.dtype)], dim=1)
            total, weights = F.interpolate(both, size=valid.shape[-2:], mode="bilinear").unbind(dim=1)
            maps.append(total / weights.clamp(min=1e-6))
        return torch.sigmoid(steepness * (torch.stack(maps).mean(dim=0) - threshold)) * valid


def pairwise_affinity_loss(logits: Tensor, alike: Sequence[Tensor]) -> Tensor:
    """Neighbouring cells of similar colour get similar heat (Tian et al. 2021, "BoxInst", section 3.2).

    Args:
        logits: (P, h, w).
        alike: which neighbours are of similar colour, from `alike_neighbours`.

    Returns:
        () mean over these pairs of -log of the probability that both cells are in or both are out; 0 without pairs.
    """
    losses, pairs = [], []
    for (down, across), mask in zip(NEIGHBOURS, alike, strict=True):
        first, second = _neighbour_slices(logits.shape, down, across)
        both_in = F.logsigmoid(logits[first]) + F.logsigmoid(logits[second])
        both_out = F.logsigmoid(-logits[first]) + F.logsigmoid(-logits[second])
        losses.append((-torch.logaddexp(both_in, both_out) * mask).sum())
        pairs.append(mask.sum())
    return torch.stack(losses).sum() / torch.stack(pairs).sum().clamp(min=1)


def alike_neighbours(colours: Tensor, valid: Tensor) -> list[Tensor]:
    """Which neighbouring cells have similar colours, for each of `NEIGHBOURS`.

    Args:
        colours: (P, 3, h, w) mean colour of each cell, in [0, 1].
        valid: (P, h, w) bool, False on padding.

    Returns:
        (P, h - down, w - across) bool each, True where both cells are valid and alike.
    """
    alike = []
    for down, across in NEIGHBOURS:
        first, second = _neighbour_slices(colours.shape, down, across)
        similar = (colours[first] - colours[second]).abs().sum(dim=1) < SIMILAR_COLOUR
        alike.append(similar & valid[first] & valid[second])
    return alike


def _neighbour_slices(shape: torch.Size, down: int, across: int) -> tuple[tuple[EllipsisType | slice, ...], ...]:
    """Slices of (..., h, w): the cells that have a neighbour so far down and across, and these neighbours."""
    height, width = shape[-2:]
    return (
        (..., slice(0, height - down), slice(0, width - across)),
        (..., slice(down, height), slice(across, width)),
    )
